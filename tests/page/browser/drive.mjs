// Runs scenarios in one browser: a line of JSON in, a line of JSON out. Each scenario has a browser context of its own,
// and fails when the page breaks its Content-Security-Policy, asks another host, or throws.
import { createInterface } from "node:readline";
import { launch } from "../../../scripts/page/browser.mjs";
import * as scenarios from "./scenarios.mjs";

const browser = await launch();
const lines = createInterface({ input: process.stdin });
process.stdout.write(`${JSON.stringify({ version: browser.version() })}\n`);
for await (const line of lines) {
  const { scenario, url, picture, options } = JSON.parse(line);
  process.stdout.write(`${JSON.stringify(await run(scenario, url, picture, options))}\n`);
}
await browser.close();

async function run(scenario, url, picture, options) {
  const { viewport = { width: 1280, height: 860 }, colorScheme = "light", hasTouch = false } = options.context ?? {};
  const context = await browser.newContext({ baseURL: url, viewport, colorScheme, hasTouch, locale: "en-US", timezoneId: "America/Chicago", permissions: ["clipboard-read", "clipboard-write"] });
  context.setDefaultTimeout(20_000);
  const page = await context.newPage();
  const faults = [];
  page.on("pageerror", (error) => faults.push(`thrown: ${error.stack}`));
  page.on("console", (message) => /Content Security Policy|Refused to/.test(message.text()) && faults.push(message.text()));
  page.on("request", (request) => {
    if (!request.url().startsWith(url) && !/^(blob|data):/.test(request.url())) faults.push(`another host was asked: ${request.url()}`);
  });
  try {
    const result = (await scenarios[scenario](page, options)) ?? null;
    // What a missing value looks like when it is taken for text.
    const odd = /\b(null|undefined|NaN)\b|\[object /.exec(await page.locator("body").innerText());
    if (odd) faults.push(`the page says “${odd[0]}”`);
    return faults.length ? { error: faults.join("\n") } : { result };
  } catch (error) {
    await page.screenshot({ path: picture }).catch(() => {});
    return { error: `${error.stack}\n${faults.join("\n")}\npicture: ${picture}` };
  } finally {
    await context.close();
  }
}
