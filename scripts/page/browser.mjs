// Starts a browser: the one that BROWSER names or that is installed, else the one of the npm package.
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { chromium } from "playwright-core";

const INSTALLED = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

function installed() {
  if (process.env.BROWSER_PATH) return process.env.BROWSER_PATH;
  const folders = (process.env.PATH ?? "").split(delimiter);
  return INSTALLED.flatMap((name) => folders.map((folder) => join(folder, name))).find((path) => existsSync(path));
}

export async function launch() {
  const own = installed();
  // Without a GPU, its imitation takes seconds for a canvas that the CPU paints in milliseconds.
  const flags = ["--disable-accelerated-2d-canvas", "--no-sandbox", "--force-color-profile=srgb", "--font-render-hinting=none"];
  if (own) return chromium.launch({ executablePath: own, args: flags });
  // Unpacks itself into the folder for temporary files, and sets the libraries' path.
  const { default: packed } = await import("@sparticuz/chromium");
  const kept = packed.args.filter((flag) => !/^--(headless|single-process|no-zygote|window-size|disable-web-security|allow-running-insecure)/.test(flag));
  return chromium.launch({ executablePath: await packed.executablePath(), args: [...kept, ...flags], env: process.env });
}
