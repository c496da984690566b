// Copies uPlot from its npm package into src/dashboard/vendor, as a module; `--check` only compares.
// A hash of what was reviewed keeps another text out, whatever a registry serves.
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const PACKAGE = join(ROOT, "node_modules", "uplot");
const TARGET = join(ROOT, "src", "dashboard", "vendor");
const FILES = [
  { from: "dist/uPlot.iife.min.js", to: "uplot.js", sha256: "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f", tail: "export default uPlot;\n" },
  { from: "LICENSE", to: "uplot.LICENSE", sha256: "8f989229699b4fe2f1a0432d0e9edc338a8a911e250e2d1b01ecd770a5f5b1bd", tail: "" },
];

const isCheck = process.argv.includes("--check");
mkdirSync(TARGET, { recursive: true });
for (const { from, to, sha256, tail } of FILES) {
  const text = readFileSync(join(PACKAGE, from), "utf8");
  const found = createHash("sha256").update(text).digest("hex");
  if (found !== sha256) throw new Error(`uplot/${from} has the hash ${found}; reviewed was ${sha256}`);
  const content = `${text.trimEnd()}\n${tail}`;
  const path = join(TARGET, to);
  if (!isCheck) writeFileSync(path, content);
  else if (readFileSync(path, "utf8") !== content) throw new Error(`${path} differs from the package: run scripts/page/vendor.mjs`);
}
