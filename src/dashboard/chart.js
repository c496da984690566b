// A chart over uPlot: axes, grid, cursor and selection are uPlot's; samples are drawn by paint.js, each series with its
// own times. All charts of the page show one range and one cursor.

import uPlot from "./vendor/uplot.js";
import { limitsOf } from "./series.js";
import { axisText, zoomed } from "./times.js";
import { LANE_HEIGHT, paintLanes, paintLine, themed } from "./paint.js";
import { h, swatch } from "./dom.js";

/** @typedef {import("./series.js").Series} Series */
/** @typedef {import("./times.js").Range} Range */

/**
 * @typedef {object} Line
 * @property {Series} series
 * @property {Series | null} compare The same, of the range compared with, moved here.
 * @property {string} label
 * @property {string} unit
 * @property {string} color
 */

/**
 * @typedef {object} Hooks What the page does about gestures.
 * @property {(range: Range, isFinal: boolean) => void} onRange A range was chosen; until it is final, only draw it.
 * @property {(time: number | null, chart: Chart | null, point: {x: number, y: number} | null) => void} onCursor
 * @property {(chart: Chart) => void} onPin
 * @property {(chart: Chart, event: KeyboardEvent) => void} onKey
 */

const AXIS_WIDTH = 58;
const HEIGHT_MIN = 150;
const WHEEL_REST_MS = 250;
const TAP_PX = 6;

export class Chart {
  /**
   * @param {"lines" | "lanes"} kind
   * @param {string} heading
   * @param {Hooks} hooks
   */
  constructor(kind, heading, hooks) {
    this.kind = kind;
    this.heading = heading;
    this.hooks = hooks;
    /** @type {Line[]} */
    this.lines = [];
    /** @type {Range} */
    this.range = { from: 0, to: 1 };
    this.zone = "UTC";
    this.emphasised = "";
    /** @type {[number, number]} Of the y axis. */
    this.limits = [0, 1];
    /** @type {uPlot | null} */
    this.plot = null;
    this.canvasHost = h("div", { class: "plot", tabIndex: 0, role: "application", "aria-roledescription": "chart" });
    this.title = h("h2", { class: "chart-title" }, heading);
    this.element = h("section", { class: `chart chart-${kind}` }, this.title, this.canvasHost);
    this.canvasHost.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => hooks.onKey(this, event));
    this.canvasHost.addEventListener("blur", () => hooks.onCursor(null, null, null));
  }

  /**
   * Show something else.
   * @param {{lines: Line[], range: Range, zone: string, height: number}} shown
   */
  update({ lines, range, zone, height }) {
    const isRebuilt = zone !== this.zone;
    Object.assign(this, { lines, range, zone });
    this.height = this.kind === "lanes" ? lines.length * LANE_HEIGHT + 46 : Math.max(height, HEIGHT_MIN);
    this.title.replaceChildren(this.heading, ...(this.kind === "lanes" ? [] : lines.map(keyOf)));
    const names = lines.map((line) => line.label).join(", ");
    this.canvasHost.setAttribute("aria-label", `${this.heading}: ${names}. Arrow keys move the cursor.`);
    if (isRebuilt) this.destroyPlot();
    if (!this.plot) this.build();
    else this.redraw();
  }

  /** @param {Range} range */
  setRange(range) {
    this.range = range;
    this.redraw();
  }

  redraw() {
    if (!this.plot) return;
    const width = this.canvasHost.clientWidth;
    if (width && (this.plot.width !== width || this.plot.height !== this.height)) this.plot.setSize({ width, height: this.height ?? HEIGHT_MIN });
    const { plot, range } = this;
    const [min, max] = this.measure();
    plot.batch(() => {
      plot.setData(this.data(), false);
      plot.setScale("x", { min: range.from, max: range.to });
      plot.setScale("y", { min, max });
    });
  }

  /** @returns {uPlot.AlignedData} */
  data() {
    return [[this.range.from, this.range.to], [null, null]];
  }

  /** Look at all samples, once for each drawing. */
  measure() {
    const all = this.lines.flatMap(({ series, compare }) => (compare ? [series, compare] : [series]));
    this.limits = (this.kind === "lines" && limitsOf(all, this.range)) || [0, 1];
    return this.limits;
  }

  build() {
    const width = this.canvasHost.clientWidth;
    if (!width) return;
    const axis = {
      stroke: () => themed("muted"),
      font: `12px ${themed("font")}`,
      grid: { stroke: () => themed("grid"), width: 1 },
      ticks: { stroke: () => themed("grid"), width: 1, size: 4 },
      border: { show: true, stroke: () => themed("line"), width: 1 },
    };
    const isLanes = this.kind === "lanes";
    this.measure();
    this.plot = new uPlot(
      {
        width,
        height: this.height ?? HEIGHT_MIN,
        ms: 1,
        padding: [8, 32, 0, 0],
        legend: { show: false },
        tzDate: (ms) => uPlot.tzDate(new Date(ms), this.zone),
        scales: {
          x: { time: true, range: () => [this.range.from, this.range.to] },
          y: { range: () => this.limits },
        },
        series: [{}, { scale: "y", paths: () => null, points: { show: false } }],
        axes: [
          { ...axis, space: 78, size: 38, values: (_, splits, __, ___, step) => axisText(splits, step, this.zone) },
          { ...axis, scale: "y", size: AXIS_WIDTH, gap: 4, space: 34, ...(isLanes ? { splits: () => [], grid: { show: false } } : {}), values: (_, splits, __, ___, step) => splits.map((value) => yText(value, step)) },
        ],
        cursor: {
          y: false,
          points: { show: false },
          drag: { x: true, y: false, setScale: false, dist: 6 },
          bind: { mousedown: (_, __, handler) => (event) => (event.button === 0 && !event.shiftKey ? handler(event) : null), dblclick: () => () => null },
        },
        hooks: {
          draw: [() => this.paint()],
          setSelect: [(plot) => this.selected(plot)],
        },
      },
      this.data(),
      this.canvasHost,
    );
    gestures(this, this.plot.over);
  }

  /** @param {uPlot} plot */
  selected(plot) {
    const { left, width } = plot.select;
    if (width < 6) return;
    const range = { from: Math.round(plot.posToVal(left, "x")), to: Math.round(plot.posToVal(left + width, "x")) };
    plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    this.hooks.onRange(range, true);
  }

  paint() {
    const plot = this.plot;
    if (!plot) return;
    const { left, top, width, height } = plot.bbox;
    // As the axes have them, so that lines and ticks never part.
    const { x, y } = plot.scales;
    const area = { context: plot.ctx, left, top, width, height, from: x.min ?? 0, to: x.max ?? 1, low: y.min ?? 0, high: y.max ?? 1, ratio: uPlot.pxRatio };
    if (this.kind === "lanes") return paintLanes(area, this.lines);
    const faded = (/** @type {Line} */ line) => this.emphasised !== "" && this.emphasised !== line.series.name;
    for (const line of this.lines) if (line.compare) paintLine(area, line.compare, { color: line.color, dashed: true, faded: faded(line) });
    for (const line of this.lines) paintLine(area, line.series, { color: line.color, faded: faded(line), bold: this.emphasised === line.series.name });
  }

  /** @param {string} name Of the point whose line stands out; "" for none. */
  emphasise(name) {
    if (this.emphasised === name) return;
    this.emphasised = name;
    this.plot?.redraw(false);
  }

  /** @param {number | null} time */
  setCursor(time) {
    const plot = this.plot;
    if (!plot) return;
    const isOutside = time === null || time < this.range.from || time > this.range.to;
    plot.setCursor({ left: isOutside ? -10 : plot.valToPos(time, "x"), top: isOutside ? -10 : 0 }, false);
  }

  /** @param {number} time */
  xOf(time) {
    return this.plot ? this.plot.over.getBoundingClientRect().left + this.plot.valToPos(time, "x") : 0;
  }

  /** @returns {number} CSS pixels. */
  get plotWidth() {
    return this.plot ? this.plot.over.clientWidth : Math.max(this.canvasHost.clientWidth - AXIS_WIDTH, 200);
  }

  /** @returns {HTMLCanvasElement | null} */
  get canvas() {
    return this.plot ? this.plot.ctx.canvas : null;
  }

  destroyPlot() {
    this.plot?.destroy();
    this.plot = null;
  }
}

/** @param {Line} line */
function keyOf({ color, label }) {
  return h("span", { class: "key", title: label }, swatch(color), label);
}

/**
 * @param {number} value
 * @param {number} step
 */
function yText(value, step) {
  const digits = (String(Number(step.toPrecision(6))).split(".")[1] ?? "").length;
  return Math.abs(value) >= 1e7 ? value.toExponential(1) : value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/**
 * Wheel, pinch, pan, hover and tap on a chart.
 * @param {Chart} chart
 * @param {HTMLElement} over The plot's area.
 */
function gestures(chart, over) {
  const { hooks } = chart;
  let timer = 0;
  /** @type {Map<number, {x: number, y: number}>} */
  const fingers = new Map();
  /** @type {{from: number, to: number, x: number, spread: number, moved: boolean} | null} */
  let grip = null;

  const timeAt = (/** @type {number} */ x, range = chart.range) => {
    const box = over.getBoundingClientRect();
    return range.from + ((x - box.left) / box.width) * (range.to - range.from);
  };
  const settle = () => {
    clearTimeout(timer);
    timer = window.setTimeout(() => hooks.onRange(chart.range, true), WHEEL_REST_MS);
  };

  over.addEventListener(
    "wheel",
    (event) => {
      // A page is scrolled with the wheel, too: only a chart that has been chosen, or Ctrl, takes it.
      if (!event.ctrlKey && !event.altKey && !chart.canvasHost.contains(document.activeElement)) return;
      event.preventDefault();
      const factor = Math.exp(Math.max(-60, Math.min(60, event.deltaY || event.deltaX)) / 200);
      hooks.onRange(zoomed(chart.range, factor, Date.now(), timeAt(event.clientX)), false);
      settle();
    },
    { passive: false },
  );

  over.addEventListener("pointerdown", (event) => {
    if (event.pointerType === "mouse" && !(event.button === 0 && event.shiftKey)) return;
    fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    over.setPointerCapture(event.pointerId);
    const xs = [...fingers.values()].map((finger) => finger.x);
    grip = { ...chart.range, x: mean(xs), spread: spreadOf(xs), moved: grip !== null };
  });

  over.addEventListener("pointermove", (event) => {
    if (fingers.has(event.pointerId) && grip) {
      fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
      const xs = [...fingers.values()].map((finger) => finger.x);
      if (!grip.moved && Math.abs(mean(xs) - grip.x) < TAP_PX && xs.length < 2) return;
      grip.moved = true;
      const range = { from: grip.from, to: grip.to };
      const wide = xs.length > 1 ? zoomed(range, grip.spread / Math.max(spreadOf(xs), 20), Date.now(), timeAt(grip.x, range)) : range;
      const by = ((mean(xs) - grip.x) / over.clientWidth) * (wide.to - wide.from);
      hooks.onRange({ from: Math.round(wide.from - by), to: Math.round(wide.to - by) }, false);
      return;
    }
    if (event.pointerType === "mouse") hooks.onCursor(timeAt(event.clientX), chart, { x: event.clientX, y: event.clientY });
  });

  const leave = (/** @type {PointerEvent} */ event) => {
    if (!fingers.delete(event.pointerId) || !grip) return;
    // A click follows a tap, and pins what is shown.
    if (!grip.moved && event.type === "pointerup") hooks.onCursor(timeAt(event.clientX), chart, { x: event.clientX, y: event.clientY });
    else if (fingers.size === 0) settle();
    if (fingers.size === 0) grip = null;
    else {
      const xs = [...fingers.values()].map((finger) => finger.x);
      grip = { ...chart.range, x: mean(xs), spread: spreadOf(xs), moved: true };
    }
  };
  over.addEventListener("pointerup", leave);
  over.addEventListener("pointercancel", leave);
  over.addEventListener("pointerleave", (event) => {
    if (event.pointerType === "mouse" && !fingers.size) hooks.onCursor(null, null, null);
  });

  let downAt = 0;
  over.addEventListener("mousedown", (event) => (downAt = event.clientX));
  over.addEventListener("click", (event) => {
    if (event.shiftKey || Math.abs(event.clientX - downAt) > TAP_PX) return;
    chart.canvasHost.focus({ preventScroll: true });
    hooks.onPin(chart);
  });
}

/** @param {number[]} numbers */
const mean = (numbers) => numbers.reduce((sum, each) => sum + each, 0) / numbers.length;

/** @param {number[]} numbers */
const spreadOf = (numbers) => Math.max(Math.max(...numbers) - Math.min(...numbers), 20);
