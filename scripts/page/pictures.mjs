// Takes the guides' pictures of a page; takes a JSON document as its argument: {url, folder, site}.
// The clock of the page stands at a fixed date of the demo, so that the pictures stay what they are.
import { join } from "node:path";
import { launch } from "./browser.mjs";

const NOW = "2026-10-08T15:00:00Z";
const { url, folder, site } = JSON.parse(process.argv[2]);
const browser = await launch();

const AHU = "10.1.11.4-10002/Air Handling Unit AHU-01";
const VAV = "10.1.11.5-10003/Level 01 VAV-01-01";
const METER = "10.1.11.3-10001/Electrical Room 001";
const DAY = [
  `${AHU}/Supply Air Temperature`, `${AHU}/Return Air Temperature`, "10.1.11.2-10000/Weather Station/Outdoor Air Temperature",
  `${METER}/Main Meter.Active Power`, `${AHU}/Supply Fan Status`, `${VAV}/Occupancy Mode`,
];

async function take(name, { names = [], query = {}, path = "/", size = [1440, 900], scheme = "light", clock = "fixed", act = async () => {} }) {
  const context = await browser.newContext({ baseURL: url, viewport: { width: size[0], height: size[1] }, colorScheme: scheme, locale: "en-US", timezoneId: "America/Chicago", deviceScaleFactor: size[0] < 500 ? 2 : 1 });
  const page = await context.newPage();
  page.setDefaultTimeout(60_000);
  if (clock === "fixed") await page.clock.setFixedTime(NOW);
  const address = new URLSearchParams({ ...(names.length ? { site } : {}), ...query });
  for (const each of names) address.append("p", `${site}/${each}`);
  await page.goto(`${path}${address.size ? `?${address}` : ""}`);
  await act(page);
  await page.screenshot({ path: join(folder, `${name}.png`) });
  await context.close();
}

const drawn = async (page) => {
  await page.waitForFunction(() => !document.body.classList.contains("loading") && document.querySelector("#happened:not([hidden])"));
};
const hover = async (page) => {
  await drawn(page);
  const box = await page.locator(".plot .u-over").first().boundingBox();
  await page.mouse.move(box.x + box.width * 0.62, box.y + box.height * 0.4);
};
const three = { from: "2026-10-05T05:00:00Z", to: "2026-10-08T05:00:00Z" };

await take("page-light", { names: DAY, query: three, act: hover });
await take("page-dark", { names: DAY.slice(0, 4), query: { ...three, cmp: "7d" }, scheme: "dark", act: hover });
await take("page-mobile", { names: DAY.slice(0, 5), query: three, size: [390, 844], act: drawn });
await take("page-job", {
  names: [`${AHU}/Cooling Coil Valve Position`, `${AHU}/Heating Coil Valve Position`],
  query: { from: "2026-03-01T06:00:00Z", to: "2026-05-29T05:00:00Z" },
  // Elapsed time is of the Worker's clock.
  clock: "true",
  act: async (page) => {
    await drawn(page);
    // A job of half a year goes on behind that of the year, which is the slower for it.
    for (let times = 0; times < 2; times += 1) await page.getByRole("button", { name: "Twice the span" }).click();
    await page.waitForFunction(() => (document.querySelector("#job progress")?.value ?? 0) >= 20, null, { polling: 50 });
  },
});
await take("page-operator", {
  path: "/#/ops",
  // The hours are those of the Worker's clock.
  clock: "true",
  act: async (page) => {
    await page.locator(".hours .plot canvas").nth(2).waitFor();
    const box = await page.locator(".plot .u-over").first().boundingBox();
    await page.mouse.move(box.x + box.width * 0.12, box.y + box.height * 0.4);
    await page.locator("#tooltip tr").first().waitFor();
  },
});
await browser.close();
