// Changes a stopped Worker's local bucket behind its back. Reads {config, persist, changes} from
// standard input; changes are [key, null to delete or base64 of what to put in its place].
import { getPlatformProxy } from "wrangler";

let text = "";
for await (const chunk of process.stdin) text += chunk;
const { config, persist, changes } = JSON.parse(text);
const proxy = await getPlatformProxy({ configPath: config, persist: { path: persist } });
const bucket = proxy.env.TIMESERIES_CACHE;
const found = [];
for (const [key, data] of changes) {
  const object = await bucket.head(key);
  found.push(object === null ? null : object.size);
  if (data === null) await bucket.delete(key);
  else await bucket.put(key, Buffer.from(data, "base64"));
}
await proxy.dispose();
console.log(JSON.stringify(found));
