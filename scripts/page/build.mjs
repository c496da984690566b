// Makes the page's files from src/dashboard: `[build]` in wrangler.toml calls it before each start and deployment.
// All that the page loads lies below a folder named after its contents' hash, so that browsers may keep it for ever;
// modules import one another by relative names, so that none has to know it. index.html names the folder. Each module
// stays one, without comments and spaces.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { transformSync } from "esbuild";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const SOURCE = join(ROOT, "src", "dashboard");
const TARGET = join(ROOT, ".dev", "page");
// These are looked for under their own names.
const AT_THE_TOP = new Set(["_headers", "_redirects", "favicon.svg", "index.html"]);
const DIGITS = 12;
const KEPT_MS = 86_400_000;

// A vendored file is what its package says, to the byte.
const content = (name) => {
  const text = readFileSync(join(SOURCE, name), "utf8");
  const loader = /^\w+\.(js|css)$/.exec(name)?.[1];
  return loader ? transformSync(text, { loader, minify: true, charset: "utf8", target: "es2024" }).code : text;
};

const names = readdirSync(SOURCE, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && !/\.d\.ts$|^tsconfig\.json$/.test(entry.name))
  .map((entry) => relative(SOURCE, join(entry.parentPath, entry.name)).split(sep).join("/"))
  .sort();
const assets = new Map(names.filter((name) => !AT_THE_TOP.has(name)).map((name) => [name, content(name)]));

const hash = createHash("sha256");
for (const [name, text] of assets) hash.update(`${name}\0${text}\0`);
const folder = `page/${hash.digest("hex").slice(0, DIGITS)}`;

// Several runs may build and read at once: what is there is whole, and nothing passing is among it.
const MADE = dirname(TARGET);
const place = (name, text) => {
  const path = join(TARGET, name);
  if (existsSync(path) && readFileSync(path, "utf8") === text) return;
  const fresh = join(MADE, `page.${name}.${process.pid}.new`);
  writeFileSync(fresh, text);
  renameSync(fresh, path);
};

mkdirSync(join(TARGET, "page"), { recursive: true });
if (!existsSync(join(TARGET, folder))) {
  const fresh = join(MADE, `page.${process.pid}.new`);
  for (const [name, text] of assets) {
    mkdirSync(dirname(join(fresh, name)), { recursive: true });
    writeFileSync(join(fresh, name), text);
  }
  try {
    renameSync(fresh, join(TARGET, folder));
  } catch (error) {
    rmSync(fresh, { recursive: true });
    if (!existsSync(join(TARGET, folder))) throw error;
  }
}
const html = readFileSync(join(SOURCE, "index.html"), "utf8")
  .replace(/\n +/g, "\n")
  .replace(/(href|src)="((?:vendor\/)?[\w-]+\.(?:css|js))"/g, `$1="/${folder}/$2"`);
place("index.html", html);
for (const name of AT_THE_TOP) if (name !== "index.html") place(name, content(name));
// Another run may be reading an older folder, and a browser may have the page that names it.
for (const old of readdirSync(join(TARGET, "page"))) {
  const path = join(TARGET, "page", old);
  if (`page/${old}` !== folder && statSync(path).mtimeMs < Date.now() - KEPT_MS) rmSync(path, { recursive: true, force: true });
}
