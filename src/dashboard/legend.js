// What stands beside the cursor, and the table below the charts: a row a series, with its figures; and the samples as a
// table, for those who see no chart.

import { byId, h } from "./dom.js";
import { figuresOf, firstAt, formatNumber, runsOf, sampleNear } from "./series.js";
import { formatInstant } from "./times.js";

/** @typedef {import("./chart.js").Line} Line */
/** @typedef {import("./times.js").Range} Range */

const ROWS_MAX = 200;

/**
 * @param {Line} line
 * @param {number} time
 * @returns {string} What is shown of a series at an instant, "" for nothing.
 */
export function textAt(line, time) {
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
export function differenceAt(line, time) {
  if (!line.compare) return NaN;
  const [one, other] = [sampleNear(line.series, time), sampleNear(line.compare, time)];
  return one < 0 || other < 0 ? NaN : line.series.values[one] - line.compare.values[other];
}

/** @param {number} value */
export const signed = (value) => (Number.isFinite(value) ? `${value > 0 ? "+" : value < 0 ? "−" : "±"}${formatNumber(Math.abs(value))}` : "–");

/**
 * Fill the legend.
 * @param {HTMLElement} host
 * @param {{lines: Line[], hidden: string[], range: Range, zone: string, compared: string, thinned: boolean}} shown
 * @param {{onToggle: (name: string, alone: boolean) => void, onHover: (name: string) => void}} hooks
 */
export function fillLegend(host, { lines, hidden, range, zone, compared, thinned }, { onToggle, onHover }) {
  if (lines.length === 0) return host.replaceChildren();
  const mean = thinned ? "Mean ≈" : "Mean";
  const heads = ["Last", "Min", mean, "Max", ...(compared ? [`vs. ${compared}`] : []), thinned ? "Drawn" : "Samples"];
  const title = (/** @type {string} */ head) => (head === "Mean ≈" ? "Of the samples drawn, which were chosen so that peaks stay visible" : head === "Drawn" ? "Samples drawn; each is a true one" : null);
  const rows = lines.map((line) => {
    const isOff = hidden.includes(line.series.name);
    const swatch = h("span", { class: "swatch" });
    swatch.style.background = line.color;
    const figures = figuresOf(line.series, range);
    const old = line.compare ? figuresOf(line.compare, range) : null;
    const notes = [line.series.error, line.series.texts ? `${line.series.texts} texts not drawn` : "", line.series.nulls.length ? `${line.series.nulls.length} × no value` : "", line.series.level ? `level ${line.series.level}` : ""];
    const cells = line.series.raw ? stateCells(line) : [figures.last, figures.min, figures.mean, figures.max].map((value) => h("td", { class: "num" }, formatNumber(value)));
    return h(
      "tr", { class: isOff ? "off" : "", onpointerenter: () => onHover(line.series.name), onpointerleave: () => onHover("") },
      h("td", null,
        h("button", { class: "series", type: "button", "aria-pressed": String(!isOff), title: `${line.series.name}\nClick: this one alone. Ctrl+click: on or off.`, onclick: (/** @type {MouseEvent} */ event) => onToggle(line.series.name, !event.ctrlKey && !event.metaKey) },
          swatch, h("span", null, line.label, " ", line.unit ? h("span", { class: "muted" }, line.unit) : null,
            ...notes.filter(Boolean).map((note) => h("span", { class: "muted" }, ` · ${note}`))))),
      ...cells,
      compared ? h("td", { class: "num", title: "Difference of the means" }, signed(old ? figures.mean - old.mean : NaN)) : null,
      h("td", { class: "num" }, figures.count.toLocaleString("en-US")),
    );
  });
  const table = h("table", null, h("thead", null, h("tr", null, h("th", { scope: "col" }, "Point"), ...heads.map((head) => h("th", { class: "num", scope: "col", title: title(head) }, head)))), h("tbody", null, ...rows));
  const wasOpen = host.querySelector("details")?.open ?? false;
  const details = h("details", { class: "table" }, h("summary", null, "Samples as a table"));
  const fill = () => details.open && details.childElementCount === 1 && details.append(sampleTable(lines.filter((line) => !hidden.includes(line.series.name)), range, zone));
  details.addEventListener("toggle", fill);
  host.replaceChildren(h("div", { class: "tablebox", tabIndex: 0, role: "region", "aria-label": "Figures of each point" }, table), details);
  details.open = wasOpen;
}

/** @param {Line} line */
function stateCells({ series }) {
  const runs = runsOf(series);
  return [h("td", { class: "num" }, runs.length ? String(runs.at(-1)?.value ?? "no value") : "–"), h("td", { class: "num muted", colSpan: 3 }, `${Math.max(runs.length - 1, 0)} changes`)];
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
  return h(
    "div", { class: "tablebox", tabIndex: 0, role: "region", "aria-label": "Samples as a table" },
    h("table", null,
      h("caption", { class: "sr" }, `Samples of ${lines.length} points`),
      h("thead", null, h("tr", null, h("th", { scope: "col" }, "Time"), ...lines.map((line) => h("th", { class: "num", scope: "col" }, `${line.label} ${line.unit}`)))),
      h("tbody", null, ...shown.map((time) => h("tr", null, h("td", { class: "num" }, formatInstant(time, zone, { seconds: true })), ...lines.map((line) => h("td", { class: "num" }, exact(line, time))))))),
    step > 1 ? h("p", { class: "muted" }, `Every ${step}th of ${times.length.toLocaleString("en-US")} instants; “Take away” has all.`) : null,
  );
}

/**
 * Return the lines that have something at an instant, the highest first. Pure.
 * @param {Line[]} lines
 * @param {number} time
 * @returns {Line[]}
 */
export function sortedAt(lines, time) {
  const valueOf = (/** @type {Line} */ line) => line.series.values[sampleNear(line.series, time)] ?? NaN;
  return lines
    .filter((line) => textAt(line, time) !== "")
    .sort((one, other) => (valueOf(other) || -Infinity) - (valueOf(one) || -Infinity) || 0);
}

/**
 * @param {Line[]} lines
 * @param {number} time
 * @param {string} zone
 * @param {{x: number, y: number}} point Where the pointer is.
 * @param {boolean} isPinned
 */
export function showTooltip(lines, time, zone, point, isPinned) {
  const box = byId("tooltip");
  const rows = sortedAt(lines, time).map((line) => {
    const swatch = h("span", { class: "swatch" });
    swatch.style.background = line.color;
    swatch.style.display = "inline-block";
    const difference = differenceAt(line, time);
    return h("tr", null, h("td", null, swatch), h("td", { class: "name" }, line.label), h("td", { class: "num" }, h("b", null, textAt(line, time)), line.unit ? ` ${line.unit}` : ""),
      line.compare ? h("td", { class: "num muted" }, signed(difference)) : null);
  });
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

export const hideTooltip = () => (byId("tooltip").hidden = true);
