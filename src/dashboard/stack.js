// The charts of the page: one for each unit, lanes for what is no number; one cursor for all, and what stands beside it;
// the table below the charts: a row a series, with its figures; and the samples as a table, for those who see no chart.

import { Chart } from "./chart.js";
import { byId, h, swatch, table } from "./dom.js";
import { figuresOf, firstAt, formatNumber, runsOf, sampleNear } from "./series.js";
import { formatInstant } from "./times.js";

/** @typedef {import("./chart.js").Line} Line */
/** @typedef {import("./series.js").Series} Series */
/** @typedef {import("./times.js").Range} Range */

const ROWS_MAX = 200;

/**
 * Divide lines by unit: those that are drawn, in the order of the first of each. Pure.
 * @param {Line[]} lines
 * @returns {Map<string, Line[]>} By heading; states under "States".
 */
function byUnit(lines) {
  /** @type {Map<string, Line[]>} */
  const groups = new Map();
  const numbers = lines.filter((line) => line.series.kind === "number");
  for (const line of numbers) groups.set(line.unit || "No unit", [...(groups.get(line.unit || "No unit") ?? []), line]);
  const states = lines.filter((line) => line.series.kind === "state");
  if (states.length) groups.set("States", states);
  return groups;
}

export class Stack {
  /**
   * @param {HTMLElement} host
   * @param {(range: Range, isFinal: boolean) => void} onRange
   */
  constructor(host, onRange) {
    this.host = host;
    this.onRange = onRange;
    /** @type {Map<string, Chart>} */
    this.charts = new Map();
    this.zone = "UTC";
    /** @type {number | null} */
    this.cursor = null;
    /** @type {Chart | null} */
    this.pinned = null;
    this.point = { x: 0, y: 0 };
    new ResizeObserver(() => this.each((chart) => chart.redraw())).observe(host);
  }

  /** @param {(chart: Chart) => void} act */
  each(act) {
    for (const chart of this.charts.values()) act(chart);
  }

  /**
   * @param {Line[]} lines
   * @param {Range} range
   * @param {string} zone
   * @param {number} [height] Of each chart; else as the window has room.
   */
  show(lines, range, zone, height) {
    this.zone = zone;
    const groups = byUnit(lines);
    for (const [heading, chart] of this.charts)
      if (!groups.has(heading)) {
        chart.destroyPlot();
        chart.element.remove();
        this.charts.delete(heading);
      }
    const count = [...groups.keys()].filter((heading) => heading !== "States").length;
    height ??= Math.min(Math.max((innerHeight - 330) / Math.max(count, 1), 170), innerWidth < 600 ? 240 : 420);
    let before = null;
    for (const [heading, group] of groups) {
      let chart = this.charts.get(heading);
      if (!chart) {
        chart = new Chart(heading === "States" ? "lanes" : "lines", heading, {
          onRange: this.onRange,
          onCursor: (time, over, point) => this.hover(time, over, point),
          onPin: (over) => this.pin(over),
          onKey: (over, event) => this.key(over, event),
        });
        this.charts.set(heading, chart);
      }
      if (before) before.after(chart.element);
      else if (this.host.firstElementChild !== chart.element) this.host.prepend(chart.element);
      before = chart.element;
      chart.update({ lines: group, range, zone, height });
    }
    this.unpin();
  }

  /** @param {Range} range */
  setRange(range) {
    this.each((chart) => chart.setRange(range));
  }

  /**
   * @param {number | null} time
   * @param {Chart | null} chart
   * @param {{x: number, y: number} | null} point
   */
  hover(time, chart, point) {
    if (this.pinned) return;
    this.cursor = time;
    if (point) this.point = point;
    this.each((each) => each.setCursor(time));
    if (time === null || !chart) byId("tooltip").hidden = true;
    else showTooltip(chart.lines, time, this.zone, this.point, false);
  }

  /** @param {Chart} chart */
  pin(chart) {
    if (this.pinned || this.cursor === null) return this.unpin();
    this.pinned = chart;
    showTooltip(chart.lines, this.cursor, this.zone, this.point, true);
  }

  unpin() {
    this.pinned = null;
    this.hover(null, null, null);
  }

  /**
   * Move the cursor by keys, from sample to sample.
   * @param {Chart} chart
   * @param {KeyboardEvent} event
   */
  key(chart, event) {
    const steps = /** @type {Record<string, number>} */ ({ ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity });
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key in steps) this.step(chart, steps[event.key] * (event.shiftKey ? 10 : 1));
    else if (event.key === "Enter" && this.cursor !== null) this.pin(chart);
    else if (event.key === "Escape" && (this.pinned || this.cursor !== null)) this.unpin();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /**
   * @param {Chart} chart
   * @param {number} by Samples.
   */
  step(chart, by) {
    const { from, to } = chart.range;
    const times = chart.lines.map((line) => line.series.times).sort((one, other) => other.length - one.length)[0];
    const [first, last] = [firstAt(times, from), firstAt(times, to) - 1];
    if (last < first) return;
    const at = this.cursor === null ? (by < 0 ? last + 1 : first - 1) : firstAt(times, this.cursor);
    const time = times[Math.min(Math.max(at + by, first), last)];
    this.pinned = null;
    const box = chart.canvasHost.getBoundingClientRect();
    this.hover(time, chart, { x: chart.xOf(time), y: box.top + box.height / 2 });
    const values = chart.lines.map((line) => `${line.label} ${textAt(line, time) || "nothing"} ${line.unit}`);
    byId("spoken").textContent = `${formatInstant(time, this.zone)}: ${values.join(", ")}`;
  }

  /** @param {string} name */
  emphasise(name) {
    this.each((chart) => chart.emphasise(name));
  }

  /** @returns {{heading: string, canvas: HTMLCanvasElement, labels: {text: string, color: string}[]}[]} */
  pictures() {
    return [...this.charts.values()].flatMap((chart) =>
      chart.canvas ? [{ heading: chart.heading, canvas: chart.canvas, labels: chart.kind === "lanes" ? [] : chart.lines.map((line) => ({ text: `${line.label} ${line.unit}`, color: line.color })) }] : [],
    );
  }

  /** @returns {number} Of the widest chart, CSS pixels. */
  get plotWidth() {
    // Before the first chart: as wide as one will be.
    return Math.max(240, this.host.parentElement ? this.host.parentElement.clientWidth - 140 : 0, ...[...this.charts.values()].map((chart) => chart.plotWidth));
  }
}

/**
 * @param {Line} line
 * @param {number} time
 * @returns {string} What is shown of a series at an instant, "" for nothing.
 */
function textAt(line, time) {
  const index = sampleNear(line.series, time);
  if (index < 0) return "";
  const { raw, values } = line.series;
  if (raw) return raw[index] === null ? "no value" : String(raw[index]);
  return Number.isNaN(values[index]) ? "no value" : formatNumber(values[index]);
}

/**
 * @param {Line} line
 * @param {number} time
 * @returns {number} The number less the one it is compared with; NaN where either is missing.
 */
function differenceAt(line, time) {
  if (!line.compare) return NaN;
  const [one, other] = [sampleNear(line.series, time), sampleNear(line.compare, time)];
  return one < 0 || other < 0 ? NaN : line.series.values[one] - line.compare.values[other];
}

/** @param {number} value */
const signed = (value) => (Number.isFinite(value) ? `${value > 0 ? "+" : value < 0 ? "−" : "±"}${formatNumber(Math.abs(value))}` : "–");

/**
 * Fill the legend.
 * @param {HTMLElement} host
 * @param {{lines: Line[], hidden: string[], range: Range, zone: string, compared: string, thinned: boolean}} shown
 * @param {{onToggle: (name: string, alone: boolean) => void, onHover: (name: string) => void}} hooks
 */
export function fillLegend(host, { lines, hidden, range, zone, compared, thinned }, { onToggle, onHover }) {
  if (lines.length === 0) return host.replaceChildren();
  const rows = lines.map((line) => {
    const { series, compare, label, unit, color } = line;
    const isOff = hidden.includes(series.name);
    const figures = figuresOf(series, range);
    const old = compare ? figuresOf(compare, range) : null;
    const notes = [series.error, series.texts ? `${series.texts} texts not drawn` : "", series.nulls.length ? `${series.nulls.length} × no value` : "", series.level ? `level ${series.level}` : ""];
    const cells = series.raw ? stateCells(series) : [figures.last, figures.min, figures.mean, figures.max].map((value) => number(formatNumber(value)));
    return h(
      "tr", { class: isOff ? "off" : "", onpointerenter: () => onHover(series.name), onpointerleave: () => onHover("") },
      h("td", null,
        h("button", { class: "series", type: "button", "aria-pressed": String(!isOff), title: `${series.name}\nClick: this one alone. Ctrl+click: on or off.`, onclick: (/** @type {MouseEvent} */ event) => onToggle(series.name, !event.ctrlKey && !event.metaKey) },
          swatch(color), h("span", null, label, " ", unit ? muted(unit) : null, ...notes.filter(Boolean).map((note) => muted(` · ${note}`))))),
      ...cells,
      compared ? h("td", { class: "num", title: "Difference of the means" }, signed(old ? figures.mean - old.mean : NaN)) : null,
      number(figures.count.toLocaleString("en-US")),
    );
  });
  /** @type {(string | [string, string])[]} */
  const heads = [
    "Point", "#Last", "#Min",
    thinned ? ["#Mean ≈", "Of the samples drawn, which were chosen so that peaks stay visible"] : "#Mean",
    "#Max", ...(compared ? [`#vs. ${compared}`] : []),
    thinned ? ["#Drawn", "Samples drawn; each is a true one"] : "#Samples",
  ];
  const wasOpen = host.querySelector("details")?.open ?? false;
  const details = h("details", { class: "table" }, h("summary", null, "Samples as a table"));
  details.addEventListener("toggle", () => {
    if (details.open && details.childElementCount === 1) details.append(...sampleTable(lines.filter((line) => !hidden.includes(line.series.name)), range, zone));
  });
  host.replaceChildren(table("Figures of each point", heads, rows), details);
  details.open = wasOpen;
}

/** @param {string} text */
const number = (text) => h("td", { class: "num" }, text);

/** @param {string} text */
const muted = (text) => h("span", { class: "muted" }, text);

/** @param {Series} series */
function stateCells(series) {
  const runs = runsOf(series);
  return [number(runs.length ? String(runs.at(-1)?.value ?? "no value") : "–"), h("td", { class: "num muted", colSpan: 3 }, `${Math.max(runs.length - 1, 0)} changes`)];
}

/**
 * @param {Line[]} lines
 * @param {Range} range
 * @param {string} zone
 */
function sampleTable(lines, range, zone) {
  const times = [...new Set(lines.flatMap(({ series }) => [...series.times.subarray(firstAt(series.times, range.from), firstAt(series.times, range.to))]))].sort((a, b) => a - b);
  const step = Math.max(1, Math.ceil(times.length / ROWS_MAX));
  const shown = times.filter((_, index) => index % step === 0);
  const exact = (/** @type {Line} */ line, /** @type {number} */ time) => {
    const index = firstAt(line.series.times, time);
    return line.series.times[index] === time ? textAt(line, time) : "";
  };
  const rows = shown.map((time) => h("tr", null, number(formatInstant(time, zone, { seconds: true })), ...lines.map((line) => number(exact(line, time)))));
  const more = `Every ${step}th of ${times.length.toLocaleString("en-US")} instants; “Take away” has all.`;
  return [table("Samples as a table", ["Time", ...lines.map((line) => `#${line.label} ${line.unit}`)], rows), ...(step > 1 ? [h("p", { class: "muted" }, more)] : [])];
}

/** @param {number} value NaN, of what is no number, comes last. */
const rank = (value) => (Number.isNaN(value) ? -Infinity : value);

/**
 * Return the lines that have something at an instant and what it is, the highest first. Pure.
 * @param {Line[]} lines
 * @param {number} time
 */
function sortedAt(lines, time) {
  return lines
    .map((line) => ({ line, text: textAt(line, time), value: line.series.values[sampleNear(line.series, time)] }))
    .filter(({ text }) => text !== "")
    .sort((one, other) => rank(other.value) - rank(one.value) || 0);
}

/**
 * @param {Line[]} lines
 * @param {number} time
 * @param {string} zone
 * @param {{x: number, y: number}} point Where the pointer is.
 * @param {boolean} isPinned
 */
function showTooltip(lines, time, zone, point, isPinned) {
  const box = byId("tooltip");
  const rows = sortedAt(lines, time).map(({ line, text }) =>
    h("tr", null, h("td", null, swatch(line.color)), h("td", { class: "name" }, line.label), h("td", { class: "num" }, h("b", null, text), line.unit ? ` ${line.unit}` : ""),
      line.compare ? h("td", { class: "num muted" }, signed(differenceAt(line, time))) : null));
  box.replaceChildren(
    h("div", { class: "num" }, h("b", null, formatInstant(time, zone, { seconds: true, offset: true }))),
    rows.length ? h("table", null, h("tbody", null, ...rows)) : h("div", { class: "muted" }, "No sample near"),
  );
  box.classList.toggle("pinned", isPinned);
  box.hidden = false;
  const { width, height } = box.getBoundingClientRect();
  const x = point.x + 18 + width > innerWidth ? Math.max(4, point.x - 18 - width) : point.x + 18;
  const y = Math.min(Math.max(point.y - height / 2, 4), innerHeight - height - 4);
  box.style.left = `${x}px`;
  box.style.top = `${y}px`;
}
