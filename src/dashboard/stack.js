// The charts of the page: one for each unit, lanes for what is no number; one cursor for all.

import { lineColor } from "./paint.js";
import { Chart } from "./chart.js";
import { byId } from "./dom.js";
import { hideTooltip, showTooltip, textAt } from "./legend.js";
import { firstAt } from "./series.js";
import { formatInstant } from "./times.js";

/** @typedef {import("./chart.js").Line} Line */
/** @typedef {import("./times.js").Range} Range */

/**
 * Divide lines by unit: those that are drawn, in the order of the first of each. Pure.
 * @param {Line[]} lines
 * @returns {Map<string, Line[]>} By heading; states under "States".
 */
export function byUnit(lines) {
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
   * @param {{onRange: (range: Range, isFinal: boolean) => void, onCommand: (key: string) => void}} hooks
   */
  constructor(host, hooks) {
    this.host = host;
    this.hooks = hooks;
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
   */
  show(lines, range, zone) {
    this.zone = zone;
    const groups = byUnit(lines);
    for (const [heading, chart] of this.charts)
      if (!groups.has(heading)) {
        chart.destroyPlot();
        chart.element.remove();
        this.charts.delete(heading);
      }
    const count = [...groups.keys()].filter((heading) => heading !== "States").length;
    const height = Math.min(Math.max((innerHeight - 330) / Math.max(count, 1), 170), innerWidth < 600 ? 240 : 420);
    let before = null;
    for (const [heading, group] of groups) {
      let chart = this.charts.get(heading);
      if (!chart) {
        chart = new Chart(heading === "States" ? "lanes" : "lines", heading, {
          onRange: this.hooks.onRange,
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
    if (time === null || !chart) hideTooltip();
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
      chart.canvas ? [{ heading: chart.heading, canvas: chart.canvas, labels: chart.kind === "lanes" ? [] : chart.lines.map((line) => ({ text: `${line.label} ${line.unit}`, color: lineColorOf(line) })) }] : [],
    );
  }

  /** @returns {number} Of the widest chart, CSS pixels. */
  get plotWidth() {
    // Before the first chart: as wide as one will be.
    return Math.max(240, this.host.parentElement ? this.host.parentElement.clientWidth - 140 : 0, ...[...this.charts.values()].map((chart) => chart.plotWidth));
  }
}

/** @param {Line} line */
const lineColorOf = (line) => line.color || lineColor(0);
