// Runs the Worker and two JavaScript Workers to compare it with in one workerd, over one bucket.
// Takes a JSON document as its first argument; makes the file `ready` when all is there; ends at
// SIGTERM.
import { createReadStream, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import { appWorker, applySchema } from "../devtools/app_worker.mjs";

const options = JSON.parse(process.argv[2]);

const shared = {
  compatibilityDate: options.compatibilityDate,
  r2Buckets: { TIMESERIES_CACHE: "bench" },
};
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
    appWorker({
      root: options.root,
      compatibilityDate: options.compatibilityDate,
      vars: options.vars,
      bucket: "bench",
      database: "bench",
      port: options.ports.app,
      edits: options.edits,
    }),
    javaScript("bare"),
    javaScript("inflating"),
  ],
}));

const database = await miniflare.getD1Database("DB", "app");
await applySchema(database, options.root);
if (options.seed) {
  const bucket = await miniflare.getR2Bucket("TIMESERIES_CACHE", "app");
  // A line for each object: all of them together may be longer than a text can be.
  for await (const line of createInterface({ input: createReadStream(join(options.seed, "seed.jsonl")) })) {
    const { key, file, statements } = JSON.parse(line);
    await bucket.put(key, readFileSync(join(options.seed, file)));
    for (const { sql, values } of statements) await database.prepare(sql).bind(...values).run();
  }
}
writeFileSync(options.ready, "");
process.on("SIGTERM", async () => {
  await miniflare.dispose();
  process.exit(0);
});
