// Runs the Worker and two JavaScript Workers to compare it with in one workerd, over one bucket.
// Takes a JSON document as its first argument; makes the file `ready` when all is there; ends at
// SIGTERM.
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";

const options = JSON.parse(process.argv[2]);

function* files(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) {
      if (entry.name !== "__pycache__") yield* files(path);
    } else yield path;
  }
}

// As wrangler attaches them: sources as Python modules, vendored packages as data.
function pythonModules() {
  const source = join(options.root, "src");
  const vendored = join(options.root, "python_modules");
  const entry = join(source, "entry.py");
  return [
    { type: "PythonModule", path: "entry.py", contents: readFileSync(entry) },
    ...[...files(source)]
      .filter((path) => path.endsWith(".py") && path !== entry)
      .map((path) => ({
        type: "PythonModule",
        path: relative(source, path),
        contents: readFileSync(path),
      })),
    ...[...files(vendored)]
      .filter((path) => !path.endsWith(".pyc"))
      .map((path) => ({
        type: /^workers\/.*\.m?js$/.test(relative(vendored, path)) ? "ESModule" : "Data",
        path: join("python_modules", relative(vendored, path)),
        contents: readFileSync(path),
      })),
  ];
}

const shared = {
  compatibilityDate: options.compatibilityDate,
  r2Buckets: { TIMESERIES_CACHE: "bench" },
};
const queues = ["chart-processing-queue", "chart-processing-high", "chart-processing-low"];
const consumer = { maxBatchSize: 10, maxBatchTimeout: 0, maxRetries: 3, deadLetterQueue: "chart-processing-dlq" };
const javaScript = (name) => ({
  ...shared,
  name,
  modules: true,
  script: readFileSync(join(options.root, "scripts", "bench", "workers", `${name}.mjs`), "utf8"),
  unsafeDirectSockets: [{ host: "127.0.0.1", port: options.ports[name] }],
});

const miniflare = new Miniflare(convertV4MiniflareOptions({
  host: "127.0.0.1",
  port: options.ports.front,
  // Nobody reads the log of a benchmark.
  ...(process.env.BENCH_VERBOSE ? {} : { handleStructuredLogs: () => {} }),
  workers: [
    { name: "front", modules: true, script: "export default { fetch: () => new Response() }" },
    {
      ...shared,
      name: "app",
      compatibilityFlags: ["python_workers", "python_workers_development", "experimental"],
      modules: pythonModules(),
      d1Databases: { DB: "bench" },
      bindings: options.vars,
      queueProducers: {
        CHART_QUEUE: queues[0],
        CHART_QUEUE_HIGH: queues[1],
        CHART_QUEUE_LOW: queues[2],
      },
      queueConsumers: {
        ...Object.fromEntries(queues.map((name) => [name, consumer])),
        "chart-processing-dlq": { maxBatchSize: 10, maxBatchTimeout: 1, maxRetries: 3 },
      },
      unsafeDirectSockets: [{ host: "127.0.0.1", port: options.ports.app }],
    },
    javaScript("bare"),
    javaScript("inflating"),
  ],
}));

const database = await miniflare.getD1Database("DB", "app");
const schema = readFileSync(join(options.root, "schema.sql"), "utf8").replace(/--.*$/gm, "");
// A trigger's body holds semicolons of its own.
for (const statement of schema.match(/\s*CREATE TRIGGER[\s\S]*?END;|[^;]+;/g))
  if (statement.trim()) await database.prepare(statement).run();
if (options.seed) {
  const bucket = await miniflare.getR2Bucket("TIMESERIES_CACHE", "app");
  const seed = JSON.parse(readFileSync(join(options.seed, "seed.json"), "utf8"));
  for (const { key, file } of seed.objects) await bucket.put(key, readFileSync(join(options.seed, file)));
  for (const { sql, values } of seed.statements) await database.prepare(sql).bind(...values).run();
}
writeFileSync(options.ready, "");
process.on("SIGTERM", async () => {
  await miniflare.dispose();
  process.exit(0);
});
