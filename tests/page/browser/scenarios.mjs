// What people do with the page. Each scenario gets a page that is not open yet, and returns what a test compares.
import { readFile } from "node:fs/promises";

/** Open the page and wait until its charts are drawn. */
async function open(page, query, { charts = true } = {}) {
  await page.goto(`/?${new URLSearchParams(query)}`);
  if (charts) await drawn(page);
}

async function drawn(page) {
  await page.waitForSelector(".plot canvas");
  await settled(page);
}

const settled = (page) => page.waitForFunction(() => !document.body.classList.contains("loading") && document.querySelector("#happened:not([hidden])"));

/** How many pixels of a chart's canvas are not of one colour with its corner: something is drawn. */
const ink = (page, index = 0) =>
  page.locator(".plot canvas").nth(index).evaluate((canvas) => {
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    let count = 0;
    for (let at = 0; at < data.length; at += 4) if (data[at + 3] > 100 && Math.max(data[at], data[at + 1], data[at + 2]) - Math.min(data[at], data[at + 1], data[at + 2]) > 60) count += 1;
    return count;
  });

const overOf = (page, index = 0) => page.locator(".plot .u-over").nth(index);
const address = (page) => Object.fromEntries(new URL(page.url()).searchParams);

async function drag(page, from, to, index = 0) {
  const box = await overOf(page, index).boundingBox();
  const y = box.y + box.height / 2;
  await page.mouse.move(box.x + box.width * from, y);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * ((from + to) / 2), y, { steps: 3 });
  await page.mouse.move(box.x + box.width * to, y, { steps: 3 });
  await page.mouse.up();
}

export async function findAndDraw(page, { siteName }) {
  await page.goto("/");
  await page.getByRole("heading", { name: "Look at a building" }).waitFor();
  await page.getByLabel("Site").selectOption({ label: siteName });
  const search = page.getByRole("combobox", { name: "Find points" });
  await page.getByRole("option", { name: /Outdoor Air Temperature/ }).first().waitFor();
  await search.fill("zat vav-01");
  const found = await page.getByRole("option").filter({ visible: true }).locator(".names b").allTextContents();
  await page.getByRole("option", { name: /Zone Air Temperature/ }).first().click();
  await search.fill("co2");
  await page.locator("#found [role=option]").first().click();
  await drawn(page);
  await page.waitForFunction(() => document.querySelectorAll(".plot canvas").length === 2);
  await settled(page);
  const headings = (await page.locator(".chart-title").allTextContents()).map((text) => text.slice(0, 3));
  const rows = await page.locator("#legend .tablebox").first().locator("tbody tr").allTextContents();
  return { found, headings, rows: rows.length, ink: [await ink(page, 0), await ink(page, 1)], address: address(page), happened: await page.textContent("#happened") };
}

export async function zoomAndBack(page, { query }) {
  await open(page, query);
  const before = page.url();
  const asked = page.waitForRequest(/api\/timeseries/);
  await drag(page, 0.25, 0.5);
  const finer = new URL((await asked).url()).searchParams;
  await settled(page);
  const zoomed = address(page);
  const plot = await overOf(page).evaluate((over) => over.clientWidth);
  await page.goBack();
  await page.waitForURL(before);
  await settled(page);
  await page.getByRole("button", { name: "Half the span" }).click();
  await page.waitForURL((url) => url.href !== before);
  await page.getByRole("button", { name: "Back to the view before" }).click();
  await page.waitForURL(before);
  return {
    span: Date.parse(zoomed.to) - Date.parse(zoomed.from),
    inside: Number(finer.get("start_time")) <= Date.parse(zoomed.from) && Number(finer.get("end_time")) >= Date.parse(zoomed.to),
    maxPoints: Number(finer.get("max_points")) / plot,
  };
}

export async function panAndWheel(page, { query }) {
  await open(page, query);
  const [from, to] = [Date.parse(query.from), Date.parse(query.to)];
  await page.keyboard.down("Shift");
  await drag(page, 0.5, 0.75);
  await page.keyboard.up("Shift");
  await page.waitForURL((url) => Date.parse(url.searchParams.get("from")) < from);
  const panned = address(page);
  await page.keyboard.down("Control");
  await page.mouse.wheel(0, -200);
  await page.keyboard.up("Control");
  await page.waitForURL((url) => url.searchParams.get("from") !== panned.from);
  const wheeled = address(page);
  return {
    pan: (from - Date.parse(panned.from)) / (to - from),
    span: (Date.parse(panned.to) - Date.parse(panned.from)) / (to - from),
    wheel: (Date.parse(wheeled.to) - Date.parse(wheeled.from)) / (to - from),
  };
}

export async function sharedLink(page, { query, name }) {
  await open(page, query);
  await page.locator("#legend button.series").filter({ hasText: name }).click();
  await page.waitForURL(/hide=/);
  const link = page.url();
  const other = await page.context().newPage();
  await other.goto(link);
  await drawn(other);
  const off = await other.locator("#legend tr.off").count();
  const time = await other.locator("#time").getAttribute("title");
  await other.locator("#legend button.series").filter({ hasText: name }).click();
  await other.waitForFunction(() => document.querySelectorAll("#legend tr.off").length === 0);
  return { off, time, address: address(page) };
}

export async function timePanel(page, { query }) {
  await open(page, query);
  await page.click("#time");
  await page.locator("#from-text").fill("nonsense");
  await page.getByRole("button", { name: "Show the times typed" }).click();
  const problem = await page.locator("#time-panel .error").textContent();
  await page.locator("#from-text").fill("2026-10-01");
  await page.locator("#to-text").fill("2026-10-02 12:00");
  await page.getByRole("button", { name: "Show the times typed" }).click();
  await settled(page);
  const typed = await page.locator("#time").getAttribute("title");
  await page.click("#time");
  await page.locator("#time-panel").getByRole("button", { name: "UTC" }).click();
  await settled(page);
  const utc = await page.locator("#time").getAttribute("title");
  await page.click("#time");
  await page.locator("#time-panel").getByRole("button", { name: "Yesterday" }).click();
  await settled(page);
  return { problem, typed, utc, address: address(page), text: await page.textContent("#time-text") };
}

/** Answers that a Worker gives when it has to, and what the page makes of them. */
export async function refusals(page, { query }) {
  await open(page, query);
  const said = {};
  const answers = {
    bad: { status: 400, json: { title: "Invalid request", detail: "2 problems", errors: [{ field: "site", message: "is unknown" }, { field: "points", message: "are too many" }] } },
    limited: { status: 429, headers: { "Retry-After": "30" }, json: { title: "Too many requests", detail: "slow down" } },
    failed: { status: 502, json: { title: "Upstream failure", detail: "the upstream answered 500", requestId: "r-1" } },
    gateway: { status: 504, contentType: "text/html", body: "<h1>oops</h1>" },
    offline: null,
  };
  for (const [name, answer] of Object.entries(answers)) {
    await page.route("**/api/timeseries**", (route) => (answer ? route.fulfill(answer) : route.abort("internetdisconnected")));
    await page.click("#reload");
    await settled(page);
    said[name] = (await page.locator("#state .card").allTextContents()).join("|");
    said.stays = (said.stays ?? true) && (await ink(page)) > 100;
    await page.unroute("**/api/timeseries**");
  }
  await page.getByRole("button", { name: "Try again" }).click();
  await page.waitForFunction(() => !document.querySelector("#state .card"));
  return said;
}

export async function emptyRange(page, { query }) {
  await open(page, query, { charts: false });
  await page.getByText("No samples in this range").waitFor();
  const said = await page.locator("#state .card").textContent();
  await page.getByRole("button", { name: "Go there" }).click();
  await drawn(page);
  return { said, ink: await ink(page) };
}

export async function unknownPoint(page, { query }) {
  await open(page, query);
  const said = await page.locator("#state .card").textContent();
  await page.locator("#state").getByRole("button", { name: "Remove" }).click();
  await page.waitForFunction(() => !document.querySelector("#state .card"));
  return { said, points: new URL(page.url()).searchParams.getAll("p") };
}

export async function manyPoints(page, { site }) {
  await page.goto(`/?site=${site}`);
  const search = page.getByRole("combobox", { name: "Find points" });
  await page.locator("#found [role=option]").first().waitFor();
  await search.press("Shift+Enter");
  await drawn(page);
  const said = await page.locator("#state .card").textContent();
  return { said, count: new URL(page.url()).searchParams.getAll("p").length, chosen: await page.locator(".chosen .point").count() };
}

export async function readDownloads(page, { query, labels }) {
  await open(page, query);
  const files = {};
  for (const label of labels) {
    await page.click("#take");
    const download = page.waitForEvent("download");
    await page.locator("#take-panel").getByRole("button", { name: label, exact: true }).click();
    const done = await download;
    const bytes = await readFile(await done.path());
    files[label] = { name: done.suggestedFilename(), head: bytes.subarray(0, 60).toString("latin1"), lines: bytes.toString("latin1").split("\n").filter(Boolean).length, size: bytes.length };
    await page.waitForFunction(() => !document.querySelector("#take-panel").matches(":popover-open"));
  }
  const copied = {};
  for (const label of ["Copy link", "Copy curl", "Copy Python"]) {
    await page.click("#take");
    await page.locator("#take-panel").getByRole("button", { name: label }).click();
    await page.waitForFunction(() => !document.querySelector("#take-panel").matches(":popover-open"));
    copied[label] = await page.evaluate(() => navigator.clipboard.readText());
  }
  return { files, copied, url: page.url() };
}
