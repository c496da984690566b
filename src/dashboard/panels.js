// The panels and dialogs: choose a time, take something away, the API key, the shortcuts.

import { ask, follow, send, storedKey, storeKey } from "./api.js";
import { themed } from "./paint.js";
import { action, byId, h, reasonOf, saveFile, toast } from "./dom.js";
import { DAY, formatInstant, inputText, MONTHS, offsetText, parseRange, PRESETS, wallClock } from "./times.js";

/** @typedef {import("./times.js").Range} Range */
/** @typedef {import("./times.js").RangeText} RangeText */

/**
 * Return how a range is called.
 * @param {RangeText} text
 * @param {Range} range
 * @param {string} zone
 */
export function rangeName(text, range, zone) {
  const preset = PRESETS.find((each) => each.from === text.from && each.to === text.to);
  if (preset) return /^\d/.test(preset.label) ? `Last ${preset.label}` : preset.label;
  const relative = /^now-(\d+)([smhdwy])$/.exec(text.from.trim());
  if (relative && text.to.trim() === "now") return `Last ${relative[1]} ${relative[2] === "m" ? "min" : relative[2]}`;
  const years = [range.from, range.to, Date.now()].map((ms) => wallClock(ms, zone).year);
  const [from, to] = [range.from, range.to].map((ms) => shortInstant(ms, zone, new Set(years).size > 1));
  if (text.to.trim() === "now") return `Since ${from.join(" ")}`;
  if ((from[1] === "00:00" && to[1] === "00:00") || range.to - range.from > 14 * DAY) return `${from[0]} – ${to[0]}`;
  return from[0] === to[0] ? `${from.join(" ")} – ${to[1]}` : `${from.join(" ")} – ${to.join(" ")}`;
}

/**
 * @param {number} ms
 * @param {string} zone
 * @param {boolean} withYear
 * @returns {[string, string]} Day and time.
 */
function shortInstant(ms, zone, withYear) {
  const { year, month, day } = wallClock(ms, zone);
  return [`${day} ${MONTHS[month - 1]}${withYear ? ` ${year}` : ""}`, formatInstant(ms, zone).slice(11)];
}

/**
 * Fill the panel.
 * @param {HTMLElement} panel
 * @param {{text: RangeText, range: Range, zone: string, isUtc: boolean, browserZone: string}} shown
 * @param {{onText: (text: RangeText) => void, onZone: (isUtc: boolean) => void}} hooks
 */
export function fillTimePanel(panel, { text, range, zone, isUtc, browserZone }, { onText, onZone }) {
  const problem = h("p", { class: "error", role: "alert", hidden: true });
  const accept = (/** @type {RangeText} */ typed) => {
    const read = parseRange(typed, Date.now(), zone);
    problem.hidden = read.problem === null;
    problem.textContent = read.problem ?? "";
    if (read.problem === null) {
      panel.hidePopover();
      onText(typed);
    }
  };
  const choice = (/** @type {string} */ label, /** @type {boolean} */ isChosen, /** @type {() => void} */ choose) => action(label, choose, "small", { "aria-pressed": String(isChosen) });
  const presets = PRESETS.map((preset) => choice(preset.label, preset.from === text.from && preset.to === text.to, () => accept(preset)));
  const field = (/** @type {string} */ label, /** @type {string} */ type, /** @type {string} */ value, /** @type {string} */ id) => {
    const input = h("input", { type, id, value, spellcheck: false, autocomplete: "off" });
    return { input, element: h("label", null, label, input) };
  };
  const [from, to] = [field("From", "datetime-local", inputText(range.from, zone), "from-date"), field("To", "datetime-local", inputText(range.to, zone), "to-date")];
  const [fromText, toText] = [field("From", "text", text.from, "from-text"), field("To", "text", text.to, "to-text")];
  const form = (/** @type {() => RangeText} */ read, /** @type {string} */ label, /** @type {any[]} */ ...fields) =>
    h("form", { class: "row", onsubmit: (/** @type {Event} */ event) => (event.preventDefault(), accept(read())) }, ...fields, h("button", { class: "button", "aria-label": label }, "Show"));
  const zoneButton = (/** @type {string} */ label, /** @type {boolean} */ utc) => choice(label, isUtc === utc, () => (panel.hidePopover(), onZone(utc)));
  panel.replaceChildren(
    h("h3", null, "Show"), h("div", { class: "chips" }, ...presets),
    h("h3", null, `By calendar, in ${zone} (${offsetText(range.to, zone)})`),
    form(() => ({ from: from.input.value, to: to.input.value }), "Show the dates chosen", from.element, to.element),
    h("h3", null, "As typed: now-7d, today, 2026-10-01, 2026-10-01 14:30"),
    form(() => ({ from: fromText.input.value, to: toText.input.value }), "Show the times typed", fromText.element, toText.element),
    problem,
    h("h3", null, "Zone"), h("div", { class: "chips" }, zoneButton(browserZone, false), zoneButton("UTC", true)),
  );
}

/** @typedef {{site: string, points: string[], from: number, to: number}} Shown */

const FILES = [
  { label: "CSV, long", ending: "csv", query: { format: "csv" }, accept: "text/csv" },
  { label: "CSV, wide", ending: "csv", query: { format: "csv", layout: "wide" }, accept: "text/csv" },
  { label: "NDJSON", ending: "ndjson", query: { format: "ndjson" }, accept: "application/x-ndjson" },
  { label: "JSON", ending: "json", query: { format: "json" }, accept: "application/json" },
];

/**
 * @param {HTMLElement} panel
 * @param {Shown} shown
 * @param {{png: () => Promise<Blob>}} hooks
 */
export function fillTakePanel(panel, shown, { png }) {
  const problem = h("p", { class: "error", role: "alert", hidden: true });
  const asked = { ...shown, origin: location.origin, keyed: storedKey() !== "" };
  const act = (/** @type {string} */ label, /** @type {() => Promise<string>} */ run) =>
    action(label, async () => {
      problem.hidden = true;
      try {
        const text = await run();
        panel.hidePopover();
        toast(text);
      } catch (error) {
        problem.textContent = reasonOf(error);
        problem.hidden = false;
      }
    }, "small", { disabled: shown.points.length === 0 });
  const copy = (/** @type {string} */ label, /** @type {() => string} */ text) =>
    act(label, async () => (await navigator.clipboard.writeText(text()), `${label}: copied.`));
  panel.replaceChildren(
    h("h3", null, "All samples of the range, none left out"),
    h("div", { class: "chips" }, ...FILES.map((file) => act(file.label, () => download(shown, file, (text) => toast(text))))),
    h("h3", null, "What is drawn"),
    h("div", { class: "chips" }, act("PNG picture", async () => (saveFile(await png(), fileName(shown.site, shown.from, shown.to, "png")), "The picture is saved."))),
    h("h3", null, "Copy"),
    h("div", { class: "chips" }, copy("Copy link", () => location.href), copy("Copy curl", () => curlCommand(asked)), copy("Copy Python", () => pythonCode(asked))),
    problem,
    h("p", { class: "muted", hidden: shown.points.length > 0 }, "Choose points first."),
  );
}

/**
 * @param {Shown} shown
 * @param {(typeof FILES)[number]} file
 * @param {(text: string) => void} tell
 * @returns {Promise<string>}
 */
async function download(shown, file, tell) {
  const query = { site: shown.site, point: shown.points, start_time: shown.from, end_time: shown.to, ...file.query };
  let response = await send("/api/timeseries", { query, accept: file.accept });
  if (response.status === 202) {
    tell("A long question: the file comes when its job has ended.");
    const { jobId } = await response.json();
    const job = await follow(jobId, (each) => tell(`Preparing the file: ${each.progress} %`), new AbortController().signal);
    if (job.status !== "completed") throw new Error(`The job has ${job.status}: ${job.error ?? ""}`);
    response = await send(`/api/jobs/${encodeURIComponent(jobId)}/data`, { query: file.query, accept: file.accept });
  }
  saveFile(await response.blob(), fileName(shown.site, shown.from, shown.to, file.ending));
  return "The file is saved.";
}

/**
 * Put the charts' canvases below one another, with headings and legend.
 * @param {{heading: string, canvas: HTMLCanvasElement, labels: {text: string, color: string}[]}[]} charts
 * @param {string} title
 * @returns {Promise<Blob>}
 */
export function pictureOf(charts, title) {
  const ratio = devicePixelRatio;
  const width = Math.max(...charts.map((chart) => chart.canvas.width));
  const heads = charts.map((chart) => (26 + chart.labels.length * 17) * ratio);
  const height = charts.reduce((sum, chart, index) => sum + heads[index] + chart.canvas.height, 44 * ratio);
  const canvas = h("canvas", { width: width + 24 * ratio, height });
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const write = (/** @type {string} */ text, /** @type {string} */ font, /** @type {string} */ color, /** @type {number} */ x, /** @type {number} */ y) => {
    context.font = font;
    context.fillStyle = color;
    context.fillText(text, x, y);
  };
  context.fillStyle = themed("card");
  context.fillRect(0, 0, canvas.width, canvas.height);
  write(title, `600 ${15 * ratio}px ${themed("font")}`, themed("ink"), 14 * ratio, 26 * ratio);
  let top = 44 * ratio;
  charts.forEach((chart, index) => {
    write(chart.heading, `600 ${13 * ratio}px ${themed("font")}`, themed("ink"), 14 * ratio, top + 14 * ratio);
    chart.labels.forEach(({ text, color }, row) => {
      const y = top + (30 + row * 17) * ratio;
      context.fillStyle = color;
      context.fillRect(14 * ratio, y - 8 * ratio, 9 * ratio, 9 * ratio);
      write(text, `${12 * ratio}px ${themed("font")}`, themed("ink"), 30 * ratio, y);
    });
    context.drawImage(chart.canvas, 12 * ratio, top + heads[index]);
    top += heads[index] + chart.canvas.height;
  });
  return new Promise((resolve, reject) => canvas.toBlob((/** @type {Blob | null} */ blob) => (blob ? resolve(blob) : reject(new Error("The picture is too large for this browser."))), "image/png"));
}

/**
 * Ask for the key.
 * @param {string} text Why.
 * @param {() => void} onKey Called once a key is kept, or forgotten.
 */
export function askForKey(text, onKey) {
  const dialog = byId("key-dialog");
  if (dialog.open) return;
  const input = h("input", { id: "key-input", type: "password", autocomplete: "off", placeholder: "bv_…", value: "" });
  const problem = h("p", { class: "error", role: "alert", hidden: true });
  const keep = (/** @type {string} */ key) => {
    storeKey(key);
    dialog.close();
    onKey();
  };
  const form = h(
    "form",
    {
      onsubmit: async (/** @type {Event} */ event) => {
        event.preventDefault();
        const [old, key] = [storedKey(), input.value.trim()];
        if (!key) return;
        storeKey(key);
        try {
          await ask("/api/me");
          keep(key);
        } catch (error) {
          storeKey(old);
          problem.textContent = reasonOf(error);
          problem.hidden = false;
        }
      },
    },
    h("h2", { id: "key-title" }, "API key"),
    h("p", { class: "muted" }, `${text} It stays in this tab, is sent to this address alone, and is gone when the tab is closed.`),
    h("label", { class: "row" }, h("span", { class: "sr" }, "API key"), input),
    problem,
    h("div", { class: "chips" }, h("button", { class: "button primary" }, "Use this key"), action("Close", () => dialog.close()),
      storedKey() ? action("Forget the key", () => keep("")) : null),
  );
  dialog.replaceChildren(form);
  dialog.showModal();
  input.focus();
}

const SHORTCUTS = [
  ["/", "find points"], ["← →", "earlier, later by a span"], ["+ −", "half the span, twice the span"], ["Backspace", "the view before"],
  ["r", "load again"], ["t", "choose the time"], ["u", "UTC or the browser's zone"], ["c", "next comparison"], ["k", "API key"], ["?", "this list"],
  ["Tab then ← →", "in a chart: move the cursor (Shift: ten samples; Home, End)"], ["Enter Esc", "in a chart: keep the values shown, let them go"],
  ["drag", "zoom to what is marked"], ["Shift+drag", "move in time"], ["wheel", "zoom, in a chart that was clicked, or with Ctrl"], ["click Ctrl+click", "in the table: one series alone; on or off"],
];

export function showHelp() {
  const dialog = byId("help-dialog");
  if (dialog.open) return;
  const rows = SHORTCUTS.map(([keys, text]) => h("tr", null, h("td", null, ...keys.split(" ").flatMap((key, index) => [index ? " " : "", /^(then|or)$/.test(key) ? key : h("kbd", null, key)])), h("td", null, text)));
  dialog.replaceChildren(h("form", { method: "dialog" }, h("h2", { id: "help-title" }, "Shortcuts"), h("table", null, h("tbody", null, ...rows)), h("div", { class: "chips" }, h("button", { class: "button primary" }, "Close"))));
  dialog.showModal();
}

// What is copied is made by pure functions.

/** @typedef {{origin: string, site: string, points: string[], from: number, to: number, keyed: boolean}} Asked */

const iso = (/** @type {number} */ ms) => new Date(ms).toISOString();

/**
 * @param {Asked} asked
 * @param {Record<string, string>} [more]
 * @returns {string}
 */
export function apiUrl({ origin, site, points, from, to }, more = {}) {
  const query = new URLSearchParams({ site });
  for (const point of points) query.append("point", point);
  for (const [name, value] of Object.entries({ start_time: iso(from), end_time: iso(to), ...more })) query.append(name, value);
  return `${origin}/api/timeseries?${query}`;
}

/** @param {string} text */
const inShell = (text) => `'${text.replaceAll("'", `'\\''`)}'`;

/** @param {Asked} asked */
export function curlCommand(asked) {
  const url = apiUrl(asked, { format: "csv", wait: "60" });
  const key = asked.keyed ? ` \\\n  -H "Authorization: Bearer $BUILDING_VITALS_KEY"` : "";
  return `curl --fail-with-body --compressed${key} \\\n  ${inShell(url)}`;
}

/** @param {Asked} asked */
export function pythonCode(asked) {
  const url = apiUrl(asked, { format: "csv", wait: "60" });
  const lines = ["import pandas as pd", ...(asked.keyed ? ["import os"] : []), ""];
  if (asked.keyed) lines.push(`headers = {"Authorization": "Bearer " + os.environ["BUILDING_VITALS_KEY"]}`);
  lines.push(
    `url = ${JSON.stringify(url)}`,
    `samples = pd.read_csv(url, parse_dates=["time"]${asked.keyed ? ", storage_options=headers" : ""})`,
    `print(samples.groupby("point")["value"].describe())`,
  );
  return `${lines.join("\n")}\n`;
}

/** @param {string} site @param {number} from @param {number} to @param {string} ending */
export function fileName(site, from, to, ending) {
  const day = (/** @type {number} */ ms) => iso(ms).slice(0, 16).replaceAll(":", "");
  return `${site}_${day(from)}_${day(to)}.${ending}`;
}
