// Measures what the page takes to draw many samples, and to follow the mouse; takes a JSON document as its argument:
// {rounds, lines, samples}, and prints one line of JSON. No Worker runs: the built page is read from its folder.
// Drawing is from the call to the last pixel, which reading one back waits for, and has the figures of the legend in it.
import { readFileSync } from "node:fs";
import { dirname, extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { launch } from "./browser.mjs";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const PAGE = join(ROOT, ".dev", "page");
const TYPES = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml" };
const HOST = "http://page.localhost";

const asked = JSON.parse(process.argv[2]);
const browser = await launch();
const page = await browser.newPage({ viewport: { width: 1440, height: 900 }, deviceScaleFactor: 1, locale: "en-US" });
page.on("pageerror", (error) => {
  throw error;
});
await page.route(`${HOST}/**`, (route) => {
  const { pathname } = new URL(route.request().url());
  if (pathname.startsWith("/api/")) return route.fulfill({ json: { items: [] } });
  const path = join(PAGE, pathname === "/" ? "index.html" : pathname);
  return route.fulfill({ body: readFileSync(path), contentType: TYPES[extname(path)] });
});
await page.goto(HOST);
const found = await page.evaluate(measure, asked);
process.stdout.write(`${JSON.stringify({ ...found, browser: browser.version() })}\n`);
await browser.close();

/** Runs in the page. */
async function measure({ rounds, lines: count, samples }) {
  const folder = document.querySelector("script[src$='/main.js']").src.replace(/main\.js$/, "");
  const [{ fillLegend, Stack }, { seriesOf }] = await Promise.all(["stack.js", "series.js"].map((name) => import(folder + name)));
  const DAY = 86_400_000;
  const [from, to] = [Date.UTC(2026, 8, 1), Date.UTC(2026, 9, 1)];
  // The same numbers each time, so that runs can be compared.
  let seed = 1;
  const random = () => (seed = (seed * 16_807) % 2_147_483_647) / 2_147_483_647;
  const lines = Array.from({ length: count }, (_, index) => {
    const answer = { samples: Array.from({ length: samples }, (_, at) => {
      const time = from + ((to - from) * at) / samples;
      return [time, index * 3 + 10 * Math.sin((time / DAY) * 2 * Math.PI) + 4 * random()];
    }) };
    const series = seriesOf(`line ${index}`, answer, { unit: "°F", interval: (to - from) / samples, span: to - from, maxPoints: null });
    return { series, compare: null, label: series.name, unit: "°F", color: `hsl(${index * 18} 60% 40%)` };
  });
  document.querySelector("#state").style.display = "none";
  const legend = document.querySelector("#legend");
  const stack = new Stack(document.querySelector("#charts"), () => undefined);
  const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
  const median = (values) => values.toSorted((one, other) => one - other)[values.length >> 1];
  const tenths = (value) => Math.round(value * 10) / 10;
  const draws = { script: [], all: [] };
  for (let round = 0; round <= rounds; round += 1) {
    await frame();
    const began = performance.now();
    const range = { from: from + round * 60_000, to };
    stack.show(lines, range, "UTC");
    fillLegend(legend, { lines, hidden: [], range, zone: "UTC", compared: "", thinned: false }, { onToggle: () => undefined, onHover: () => undefined });
    // uPlot draws when the script that changed it has ended.
    await Promise.resolve();
    const scripted = performance.now();
    const chart = [...stack.charts.values()][0];
    chart.canvas.getContext("2d").getImageData(0, 0, 1, 1);
    // The first makes the chart.
    if (round) draws.script.push(scripted - began), draws.all.push(performance.now() - began);
  }
  const chart = [...stack.charts.values()][0];
  let redraws = 0;
  const paint = chart.paint.bind(chart);
  chart.paint = () => ((redraws += 1), paint());
  const over = document.querySelector("#charts .u-over");
  const box = over.getBoundingClientRect();
  const moves = { work: [], frame: [] };
  let before = await frame();
  for (let move = 0; move < 40 * rounds; move += 1) {
    const began = performance.now();
    const where = { clientX: box.left + (box.width * ((move * 7) % 400)) / 400, clientY: box.top + box.height / 2, bubbles: true, pointerType: "mouse" };
    over.dispatchEvent(new PointerEvent("pointermove", where));
    over.dispatchEvent(new MouseEvent("mousemove", where));
    document.querySelector("#tooltip").getBoundingClientRect();
    moves.work.push(performance.now() - began);
    const now = await frame();
    moves.frame.push(now - before);
    before = now;
  }
  return { lines: count, samples, width: over.clientWidth, draw_ms: tenths(median(draws.all)), script_ms: tenths(median(draws.script)), move_ms: tenths(median(moves.work)), frame_ms: tenths(median(moves.frame)), redraws, rounds };
}
