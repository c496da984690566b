// Runs the Worker in workerd over a state folder that outlives it, and changes that state behind the
// Worker's back when it is told to. Takes a JSON document as its first argument; makes the file
// `ready`, with workerd's process id, when all is there; ends at SIGTERM.
//
// POST / to the control port takes {"action": ...}:
//   lose, spoil: {"key"} deletes an object, or changes a byte;
//   spoilRow: {"draw"} changes what lies in one of the index's rows, and gives its key, if there is one;
//   hold: {"site", "ms"} has a followed site read by a consumer that does nothing, as long as it lives;
//   down, up: takes the index's tables away from the database, and gives them back.
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import { appWorker, applySchema } from "../devtools/app_worker.mjs";

const options = JSON.parse(process.argv[2]);
const AWAY = "_away";
const TABLES = ["cache_segments", "queue_jobs", "fetch_leases", "site_blocks", "site_follows"];

const miniflare = new Miniflare(convertV4MiniflareOptions({
  host: "127.0.0.1",
  port: options.ports.front,
  resourcePersistencePath: options.state,
  workers: [
    { name: "front", modules: true, script: "export default { fetch: () => new Response() }" },
    appWorker({
      root: options.root,
      compatibilityDate: options.compatibilityDate,
      vars: options.vars,
      bucket: "chaos",
      database: "chaos",
      port: options.ports.app,
      edits: options.edits,
    }),
  ],
}));

const database = await miniflare.getD1Database("DB", "app");
const bucket = await miniflare.getR2Bucket("TIMESERIES_CACHE", "app");

async function tables() {
  const found = await database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").all();
  return new Set(found.results.map((row) => row.name));
}

async function rename(isDown) {
  const present = await tables();
  for (const name of TABLES) {
    const [from, to] = isDown ? [name, name + AWAY] : [name + AWAY, name];
    if (present.has(from) && !present.has(to))
      await database.prepare(`ALTER TABLE ${from} RENAME TO ${to}`).run();
  }
}

async function spoil(key) {
  const object = await bucket.get(key);
  if (object === null) return;
  const bytes = new Uint8Array(await object.arrayBuffer());
  if (bytes.length) bytes[Math.floor(bytes.length / 2)] ^= 0x55;
  await bucket.put(key, bytes, {
    httpMetadata: object.httpMetadata,
    customMetadata: object.customMetadata,
  });
}

async function spoilRow(draw) {
  const of = "FROM cache_segments WHERE data IS NOT NULL";
  const { rows } = await database.prepare(`SELECT count(*) AS rows ${of}`).first();
  const at = Math.floor(draw * rows);
  const row = await database.prepare(`SELECT * ${of} LIMIT 1 OFFSET ?`).bind(at).first();
  if (row === null) return null;
  // Other bytes, or no base64 at all.
  const middle = Math.floor(row.data.length / 2);
  const other = at % 2 ? "\"" : row.data[middle] === "A" ? "B" : "A";
  const data = row.data.slice(0, middle) + other + row.data.slice(middle + 1);
  const place = "site = ? AND point = ? AND end_ms = ? AND start_ms = ? AND object_key = ?";
  await database.prepare(`UPDATE cache_segments SET data = ? WHERE ${place}`)
    .bind(data, row.site, row.point, row.end_ms, row.start_ms, row.object_key).run();
  return row.object_key;
}

async function hold(site, ms) {
  const held = "UPDATE site_follows SET lease_id = 'nobody', lease_until_ms = ? WHERE site = ?";
  await database.prepare(held).bind(Date.now() + ms, site).run();
}

const ACTIONS = {
  lose: ({ key }) => bucket.delete(key),
  spoil: ({ key }) => spoil(key),
  spoilRow: ({ draw }) => spoilRow(draw),
  hold: ({ site, ms }) => hold(site, ms),
  down: () => rename(true),
  up: () => rename(false),
};

// A run that was killed while the tables were away left them so.
await rename(false);
await applySchema(database, options.root);

createServer(async (request, response) => {
  let text = "";
  for await (const chunk of request) text += chunk;
  try {
    const asked = JSON.parse(text);
    const result = await ACTIONS[asked.action](asked);
    response.end(JSON.stringify(result ?? null));
  } catch (error) {
    response.statusCode = 500;
    response.end(String(error));
  }
}).listen(options.ports.control, "127.0.0.1", () => {
  const mine = readdirSync("/proc").filter((name) => /^[0-9]+$/.test(name)).find((name) => {
    try {
      const [, parent] = readFileSync(`/proc/${name}/stat`, "utf8").split(") ")[1].split(" ");
      return Number(parent) === process.pid && /workerd/.test(readFileSync(`/proc/${name}/cmdline`));
    } catch {
      return false;
    }
  });
  writeFileSync(options.ready, mine ?? "");
});
process.on("SIGTERM", async () => {
  await miniflare.dispose();
  process.exit(0);
});
