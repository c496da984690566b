// The Worker for Miniflare, as wrangler would attach it, and its schema: shared by programs that run
// it without wrangler in between.
import { readFileSync, readdirSync } from "node:fs";
import { join, relative } from "node:path";

export const COMPATIBILITY_FLAGS = ["python_workers", "python_workers_development", "experimental"];
const QUEUES = ["chart-processing-queue", "chart-processing-high", "chart-processing-low"];
const DEAD_LETTERS = "chart-processing-dlq";

function* files(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) {
      if (entry.name !== "__pycache__") yield* files(path);
    } else yield path;
  }
}

// The source of a module with what the edits of its path say: texts that occur in it once, and what
// stands in their place.
function edited(path, contents, edits) {
  let text = contents.toString("utf8");
  for (const [from, to] of Object.entries(edits[path] ?? {})) {
    if (text.split(from).length !== 2) throw new Error(`${path} does not have ${from} once`);
    text = text.replace(from, () => to);
  }
  return text;
}

// Sources as Python modules, vendored packages as data.
function pythonModules(root, edits) {
  const source = join(root, "src");
  const vendored = join(root, "python_modules");
  const entry = join(source, "entry.py");
  return [
    { type: "PythonModule", path: "entry.py", contents: readFileSync(entry) },
    ...[...files(source)]
      .filter((path) => path.endsWith(".py") && path !== entry)
      .map((path) => ({
        type: "PythonModule",
        path: relative(source, path),
        contents: edited(relative(source, path), readFileSync(path), edits),
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

// Options: root, compatibilityDate, vars, bucket, database (names), port; edits of the sources, by
// their path below `src`.
export function appWorker({ root, compatibilityDate, vars, bucket, database, port, edits = {} }) {
  const consumer = {
    maxBatchSize: 10,
    maxBatchTimeout: 0,
    maxRetries: 3,
    deadLetterQueue: DEAD_LETTERS,
  };
  return {
    name: "app",
    compatibilityDate,
    compatibilityFlags: COMPATIBILITY_FLAGS,
    modules: pythonModules(root, edits),
    r2Buckets: { TIMESERIES_CACHE: bucket },
    d1Databases: { DB: database },
    bindings: vars,
    queueProducers: {
      CHART_QUEUE: QUEUES[0],
      CHART_QUEUE_HIGH: QUEUES[1],
      CHART_QUEUE_LOW: QUEUES[2],
    },
    queueConsumers: {
      ...Object.fromEntries(QUEUES.map((name) => [name, consumer])),
      [DEAD_LETTERS]: { maxBatchSize: 10, maxBatchTimeout: 1, maxRetries: 3 },
    },
    unsafeDirectSockets: [{ host: "127.0.0.1", port }],
  };
}

export async function applySchema(database, root) {
  const schema = readFileSync(join(root, "schema.sql"), "utf8").replace(/--.*$/gm, "");
  // A trigger's body holds semicolons of its own.
  for (const statement of schema.match(/\s*CREATE TRIGGER[\s\S]*?END;|[^;]+;/g))
    if (statement.trim()) await database.prepare(statement).run();
}
