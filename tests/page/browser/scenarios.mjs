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

export async function meter(page, { query }) {
  await open(page, query);
  return {
    headings: await page.locator(".chart-title").evaluateAll((titles) => titles.map((title) => title.firstChild.textContent)),
    ink: await ink(page),
    row: await page.locator("#legend tbody tr").first().innerText(),
  };
}

export async function compared(page, { query }) {
  await open(page, query);
  const alone = await ink(page);
  await page.getByLabel("Compare with").selectOption("7d");
  await page.waitForURL(/cmp=7d/);
  await page.getByText("vs. week before").waitFor();
  await settled(page);
  const cells = await page.locator("#legend tbody tr").first().locator("td").allTextContents();
  const box = await overOf(page).boundingBox();
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
  await page.locator("#tooltip tr").first().waitFor();
  const tooltip = await page.locator("#tooltip td").allTextContents();
  return { more: (await ink(page)) - alone, difference: cells[5], tooltip };
}

/** A question that becomes a job: progress, a reload in the middle, and its picture at the end. */
export async function jobToItsEnd(page, { query }) {
  // The job may end at any moment: what its panel has shown is noted as it comes.
  await page.addInitScript(() => {
    window.progressShown = [];
    new MutationObserver(() => {
      const bar = document.querySelector("#job progress");
      if (bar && window.progressShown.at(-1) !== bar.value) window.progressShown.push(bar.value);
    }).observe(document, { subtree: true, childList: true, attributes: true });
  });
  const jobs = [];
  page.on("request", (request) => jobs.push(/api\/jobs\/([^/?]+)/.exec(request.url())?.[1]));
  await page.goto(`/?${new URLSearchParams(query)}`);
  await page.waitForFunction(() => window.progressShown.length > 0);
  await page.reload();
  await page.waitForFunction(() => window.progressShown.length > 0);
  await drawn(page);
  const values = await page.evaluate(() => window.progressShown);
  return { values, jobs: new Set(jobs.filter(Boolean)).size, ink: await ink(page), happened: await page.textContent("#happened"), isHidden: await page.locator("#job").isHidden() };
}

export async function jobCancelled(page, { query }) {
  await page.goto(`/?${new URLSearchParams(query)}`);
  await page.locator("#job").getByRole("button", { name: "Cancel" }).click();
  const card = page.locator("#state .card");
  await card.getByRole("heading", { name: "Cancelled" }).waitFor();
  return { said: await card.textContent(), isHidden: await page.locator("#job").isHidden() };
}

/** Lanes, gaps, nulls and lone samples, as they are drawn. */
export async function lanes(page, { query }) {
  await open(page, query);
  const headings = (await page.locator(".chart-title").allTextContents()).map((text) => text.split(/(?=[A-Z])/)[0] || text);
  const index = headings.length - 1;
  const colors = await page.locator(".chart-lanes canvas").evaluate((canvas) => {
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    const counts = {};
    for (let at = 0; at < data.length; at += 4) {
      const color = [data[at], data[at + 1], data[at + 2]].join();
      counts[color] = (counts[color] ?? 0) + 1;
    }
    return counts;
  });
  const box = await overOf(page, index).boundingBox();
  await page.mouse.move(box.x + box.width * 0.5, box.y + 25);
  const tooltip = await page.locator("#tooltip").textContent();
  const rows = await page.locator("#legend tbody tr").allTextContents();
  return { colors, tooltip, rows };
}

/** From the address bar to a value read, without a mouse. */
export async function keyboardOnly(page, { query, word }) {
  await page.goto(`/?${new URLSearchParams(query)}`);
  await page.locator("#found [role=option]").first().waitFor();
  await page.keyboard.press("/");
  await page.keyboard.type(word);
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowUp");
  await page.keyboard.press("Enter");
  await drawn(page);
  for (let presses = 0; presses < 60; presses += 1) {
    await page.keyboard.press("Tab");
    if (await page.evaluate(() => document.activeElement.classList.contains("plot"))) break;
  }
  const said = [];
  for (const key of ["ArrowRight", "ArrowRight", "Shift+ArrowRight", "End", "ArrowLeft"]) {
    await page.keyboard.press(key);
    said.push(await page.textContent("#spoken"));
  }
  await page.keyboard.press("Enter");
  const pinned = await page.locator("#tooltip.pinned").isVisible();
  await page.keyboard.press("Escape");
  const hidden = await page.locator("#tooltip").isHidden();
  await page.evaluate(() => document.activeElement.blur());
  const before = page.url();
  await page.keyboard.press("ArrowLeft");
  await page.waitForURL((url) => url.href !== before);
  const earlier = Object.fromEntries(new URL(page.url()).searchParams);
  await page.keyboard.press("Backspace");
  await page.waitForURL(before);
  await page.keyboard.press("?");
  const help = await page.locator("#help-dialog").textContent();
  await page.keyboard.press("Escape");
  await page.keyboard.press("u");
  return { said, pinned, hidden, earlier, help, tz: await page.evaluate(() => new URL(location.href).searchParams.get("tz")) };
}

/** A phone: nothing is wider than it, points are chosen from the drawer, two fingers zoom. */
export async function onAPhone(page, { query }) {
  await open(page, query);
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  await page.getByRole("button", { name: /Points \(1\)/ }).click();
  await page.locator("#found [role=option]").nth(5).click();
  await page.getByRole("button", { name: /Points \(2\)/ }).click();
  await settled(page);
  const open2 = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  await page.locator(".plot").first().scrollIntoViewIfNeeded();
  const box = await overOf(page).boundingBox();
  const y = box.y + box.height / 2;
  const client = await page.context().newCDPSession(page);
  const touch = (type, ...xs) => client.send("Input.dispatchTouchEvent", { type, touchPoints: xs.map((x, id) => ({ x: box.x + x * box.width, y, id })) });
  await touch("touchStart", 0.4);
  await touch("touchEnd");
  await page.locator("#tooltip.pinned").waitFor();
  await touch("touchStart", 0.4, 0.6);
  await touch("touchMove", 0.3, 0.7);
  await touch("touchMove", 0.2, 0.8);
  await touch("touchEnd");
  await page.waitForURL((url) => !url.searchParams.get("from").startsWith("2026-10-01T00:00:00"));
  const { from, to } = Object.fromEntries(new URL(page.url()).searchParams);
  return { wide, open: open2, span: (Date.parse(to) - Date.parse(from)) / (Date.parse(query.at(-2)[1]) - Date.parse(query.at(-3)[1])) };
}

/** What axe-core finds in some views. */
export async function accessibility(page, { query, source }) {
  const axe = await readFile(source, "utf8");
  const found = [];
  const look = async (where, part = "html", rules = undefined) => {
    if (!(await page.evaluate(() => "axe" in window))) await page.evaluate(axe);
    const { violations } = await page.evaluate(([element, only]) => window.axe.run(element, only ? { runOnly: only } : {}), [part, rules]);
    for (const { id, impact, nodes } of violations) if (["serious", "critical"].includes(impact)) found.push(`${where}: ${id}: ${nodes.map((node) => node.target.join(" ")).slice(0, 3).join(", ")}: ${nodes[0].failureSummary}`);
  };
  await page.goto("/");
  await page.getByRole("heading", { name: "Look at a building" }).waitFor();
  await look("nothing chosen");
  await open(page, query);
  await page.locator("#legend summary").click();
  await look("charts");
  await page.emulateMedia({ colorScheme: "dark" });
  await look("charts, dark", "html", ["color-contrast"]);
  await page.emulateMedia({ colorScheme: "light" });
  await page.click("#time");
  await look("time", "#time-panel");
  await page.keyboard.press("Escape");
  await page.click("#take");
  if (/null|undefined|NaN/.test(await page.locator("#take-panel").innerText())) found.push("take away: a missing value is taken for text");
  await look("take away", "#take-panel");
  await page.keyboard.press("Escape");
  await page.keyboard.press("?");
  await look("help", "#help-dialog");
  await page.keyboard.press("Escape");
  await page.goto("/#/ops");
  await page.getByRole("heading", { name: "Operator's view" }).waitFor();
  await page.getByText("Requests by route").waitFor();
  await look("operator");
  await page.emulateMedia({ colorScheme: "dark" });
  await look("operator, dark", "html", ["color-contrast"]);
  return found;
}

/** Live: asked again by itself, said to be old, and quiet while nobody looks. */
export async function live(page, { query }) {
  await page.clock.install();
  await page.goto(`/?${new URLSearchParams(query)}`);
  await page.waitForSelector(".plot canvas");
  await page.locator("#live-note").waitFor();
  const fresh = await page.textContent("#live-note");
  let asked = 0;
  page.on("request", (request) => (asked += request.url().includes("/api/timeseries") ? 1 : 0));
  await page.clock.fastForward(61_000);
  await page.waitForFunction(() => !document.body.classList.contains("loading"));
  await page.waitForTimeout(300);
  const once = asked;
  await page.evaluate(() => Object.defineProperty(document, "hidden", { value: true, configurable: true }));
  await page.clock.fastForward(61_000);
  await page.waitForTimeout(300);
  const hidden = asked - once;
  await page.evaluate(() => {
    Object.defineProperty(document, "hidden", { value: false, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
  });
  await page.waitForTimeout(500);
  return { fresh, once, hidden, seen: asked - once - hidden };
}

/** The mouse goes over a chart: values follow it, and no line is drawn again. */
export async function mouseMoves(page, { query }) {
  await open(page, query);
  await page.evaluate(() => {
    window.drawings = 0;
    const { clearRect } = CanvasRenderingContext2D.prototype;
    CanvasRenderingContext2D.prototype.clearRect = function clear(...where) {
      window.drawings += 1;
      return clearRect.apply(this, where);
    };
  });
  const box = await overOf(page).boundingBox();
  const said = new Set();
  for (const part of [0.2, 0.4, 0.6, 0.8]) {
    await page.mouse.move(box.x + box.width * part, box.y + box.height / 2, { steps: 3 });
    said.add(await page.locator("#tooltip").innerText());
  }
  const moved = await page.evaluate(() => window.drawings);
  await page.getByRole("button", { name: "Half the span" }).click();
  await page.waitForFunction((before) => window.drawings > before, moved);
  return { moved, said: said.size };
}

/** The operator's charts: a day, of which the Worker knows the hours since it began. */
export async function operator(page) {
  await page.goto("/#/ops");
  await page.locator(".hours .plot canvas").nth(2).waitFor();
  const headings = await page.locator(".hours .chart-title").evaluateAll((titles) => titles.map((title) => title.firstChild.textContent));
  const drawnPixels = [await ink(page, 0), await ink(page, 1), await ink(page, 2)];
  const said = [];
  for (const index of [0, 1, 2]) {
    const box = await overOf(page, index).boundingBox();
    await page.mouse.move(box.x + box.width - 2, box.y + box.height / 2);
    said.push(await page.locator("#tooltip td.num").allTextContents());
  }
  const box = await overOf(page, 0).boundingBox();
  await page.mouse.move(box.x + 10, box.y + box.height / 2);
  return { headings, ink: drawnPixels, said, before: await page.locator("#tooltip").innerText() };
}

/** What the operator sees of followed sites: the cells of each row. */
export async function follows(page) {
  await page.goto("/#/ops");
  const rows = page.locator("section", { has: page.getByRole("heading", { name: "Followed sites" }) }).locator("tbody tr");
  await rows.first().waitFor();
  return rows.evaluateAll((found) => found.map((row) => [...row.cells].map((cell) => cell.textContent)));
}

/** Without a key, with a wrong one, with a reader's, with an administrator's. */
export async function keys(page, { query, reader, admin }) {
  await page.goto(`/?${new URLSearchParams(query)}`);
  const dialog = page.locator("#key-dialog");
  await dialog.getByLabel("API key").fill("bv_wrong_key_that_nobody_has");
  await dialog.getByRole("button", { name: "Use this key" }).click();
  await dialog.locator(".error").waitFor();
  const wrong = await dialog.locator(".error").textContent();
  await dialog.getByLabel("API key").fill(reader);
  await dialog.getByRole("button", { name: "Use this key" }).click();
  await drawn(page);
  const stored = await page.evaluate(() => [sessionStorage, localStorage].map((store) => JSON.stringify(store)));
  const inAddress = page.url().includes(reader) || (await page.content()).includes(reader);
  await page.click("#take");
  await page.locator("#take-panel").getByRole("button", { name: "Copy curl" }).click();
  const curl = await page.evaluate(() => navigator.clipboard.readText());
  await page.goto("/#/ops");
  await page.locator("#ops .card").waitFor();
  const forbidden = await page.locator("#ops .card").textContent();
  await page.locator("#ops").getByRole("button", { name: "Another key" }).click();
  await dialog.getByLabel("API key").fill(admin);
  await dialog.getByRole("button", { name: "Use this key" }).click();
  await page.getByText("Requests by route").waitFor();
  return { wrong, stored: [stored[0].includes(reader), stored[1].includes(reader)], inAddress, curl: curl.includes(reader), forbidden, routes: await page.locator("#ops tbody tr").count() };
}

/** The upstream fails: what was known is shown, and said to be old; what was never known is a failure. */
export async function upstreamFails(page, { query, other }) {
  await open(page, query);
  const stale = await page.locator("#state .card").textContent();
  const happened = await page.textContent("#happened");
  const drawnPixels = await ink(page);
  await page.goto(`/?${new URLSearchParams(other)}`);
  await page.locator("#state .card.bad").waitFor();
  return { stale, happened, ink: drawnPixels, failed: await page.locator("#state .card.bad").textContent() };
}
