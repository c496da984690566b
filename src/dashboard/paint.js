// Draws lines, marks and lanes on a canvas; and their colours, told apart in both themes.

import { firstAt, runsOf } from "./series.js";

const LIGHT = ["#1668b8", "#c2410c", "#15803d", "#9333ea", "#b91c5c", "#0e7490", "#a16207", "#4338ca", "#be123c", "#4d7c0f"];
const DARK = ["#60a5fa", "#fb923c", "#4ade80", "#c084fc", "#f472b6", "#22d3ee", "#facc15", "#818cf8", "#fb7185", "#a3e635"];

const darkTheme = () => matchMedia("(prefers-color-scheme: dark)");

/** @param {() => void} listener Called when the theme changes. */
export const onTheme = (listener) => darkTheme().addEventListener("change", listener);

/** @param {number} index */
export function lineColor(index) {
  const color = (darkTheme().matches ? DARK : LIGHT)[index % LIGHT.length];
  if (index < LIGHT.length) return color;
  // The second ten are the first, nearer to the ink.
  const [share, other] = darkTheme().matches ? [0.55, 255] : [0.55, 0];
  return `rgb(${[1, 3, 5].map((at) => Math.round(parseInt(color.slice(at, at + 2), 16) * share + other * (1 - share)))})`;
}

const ON = /^(true|on|active|occupied|run(ning)?|open|enabled?|auto|normal|1)$/i;
const OFF = /^(false|off|inactive|unoccupied|stop(ped)?|closed?|disabled?|0)$/i;
const ALARM = /alarm|fault|fail|trip|error|trouble/i;

/**
 * @param {string | number | boolean | null} value
 * @returns {{fill: string, ink: string}}
 */
function stateColor(value) {
  const dark = darkTheme().matches;
  if (value === null) return { fill: dark ? "#3f3f46" : "#e4e4e7", ink: dark ? "#d4d4d8" : "#52525b" };
  const text = String(value);
  if (OFF.test(text)) return dark ? { fill: "#334155", ink: "#e2e8f0" } : { fill: "#cbd5e1", ink: "#1e293b" };
  if (ALARM.test(text)) return dark ? { fill: "#b91c1c", ink: "#ffffff" } : { fill: "#dc2626", ink: "#ffffff" };
  if (ON.test(text)) return dark ? { fill: "#15803d", ink: "#ffffff" } : { fill: "#16803c", ink: "#ffffff" };
  let hash = 0;
  for (const letter of text) hash = (hash * 31 + letter.charCodeAt(0)) >>> 0;
  const hue = [205, 275, 35, 330, 170, 245][hash % 6];
  return dark ? { fill: `hsl(${hue} 45% 34%)`, ink: "#ffffff" } : { fill: `hsl(${hue} 55% 40%)`, ink: "#ffffff" };
}

/** @param {string} name A custom property of style.css, without the dashes. */
export const themed = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

/** @typedef {import("./series.js").Series} Series */

/**
 * @typedef {object} Area In canvas pixels, and what they stand for.
 * @property {CanvasRenderingContext2D} context
 * @property {number} left
 * @property {number} top
 * @property {number} width
 * @property {number} height
 * @property {number} from
 * @property {number} to
 * @property {number} low
 * @property {number} high
 * @property {number} ratio Canvas pixels per CSS pixel.
 */

// Columns in which a line turns back by more canvas pixels than this are filled: the same picture, many times as fast as
// strokes are.
const BAR_MIN = 4;

/**
 * Return what is drawn of a series. Of each column of pixels, the first, lowest, highest and last sample are enough to
 * draw what all of them would. Pure.
 * @param {Series} series
 * @param {Pick<Area, "left" | "top" | "width" | "height" | "from" | "to" | "low" | "high">} area
 * @returns {{lines: number[][], bars: number[], dots: number[]}} Corners of lines, pieces apart: x and y in turn; bars
 *   in place of crowded ones: column, upper and lower end; dots are samples that no line touches.
 */
export function outline({ times, values, gap, thinned }, area) {
  const perMs = area.width / (area.to - area.from);
  const perUnit = area.height / (area.high - area.low || 1);
  const begin = Math.max(firstAt(times, area.from) - 1, 0);
  const end = Math.min(firstAt(times, area.to) + 1, times.length);
  const yOf = (/** @type {number} */ value) => area.top + (area.high - value) * perUnit;
  /** @type {number[][]} */
  const lines = [];
  /** @type {number[]} */
  const bars = [];
  /** @type {number[]} */
  const dots = [];
  /** @type {number[]} */
  let line = [];
  // Of the column under way, its samples as values; and whether its line comes out of a bar.
  let [column, until, x, first, low, high, last, samples] = [0, -Infinity, 0, 0, 0, 0, 0, 0];
  let isFromBar = false;
  const flush = () => {
    if (!samples) return;
    const [begins, ends, top, bottom] = [yOf(first), yOf(last), yOf(high), yOf(low)];
    if (bottom - top - Math.abs(ends - begins) > BAR_MIN) addBar(begins, ends, top, bottom);
    else {
      line.push(x, begins);
      // The one that lies farther from where the line goes on comes first: the stroke is the same, and shorter.
      const [one, other] = ends > begins ? [top, bottom] : [bottom, top];
      if (one !== begins) line.push(x, one);
      if (other !== one && other !== ends) line.push(x, other);
      if (samples > 1 && (ends !== begins || one !== begins)) line.push(x, ends);
    }
    samples = 0;
  };
  const addBar = (/** @type {number} */ begins, /** @type {number} */ ends, /** @type {number} */ top, /** @type {number} */ bottom) => {
    const beside = isFromBar && line.length === 2 && bars[bars.length - 3] === column - 1;
    // Bars beside one another touch; to any other, a line leads.
    if (beside) [top, bottom] = [Math.min(top, bars[bars.length - 1]), Math.max(bottom, bars[bars.length - 2])];
    else if (line.length) lines.push([...line, x, begins]);
    bars.push(column, top, bottom);
    line = [x, ends];
    isFromBar = true;
  };
  const finish = () => {
    flush();
    if (line.length > 2) lines.push(line);
    else if (line.length && !isFromBar) dots.push(line[0], line[1]);
    line = [];
    isFromBar = false;
    until = -Infinity;
  };
  let before = NaN;
  for (let index = begin; index < end; index += 1) {
    const value = values[index];
    if (value !== value) {
      // Of a thinned series, the samples beside this one may be missing, and the hole would be too wide.
      if (thinned) continue;
      finish();
      before = NaN;
      continue;
    }
    const time = times[index];
    if (time - before > gap) finish();
    before = time;
    if (time < until) {
      if (value < low) low = value;
      if (value > high) high = value;
      last = value;
      samples += 1;
      continue;
    }
    flush();
    x = area.left + (time - area.from) * perMs;
    column = Math.floor(x);
    until = area.from + (column + 1 - area.left) / perMs;
    first = low = high = last = value;
    samples = 1;
  }
  finish();
  return { lines, bars, dots };
}

/**
 * @param {Area} area
 * @param {Series} series
 * @param {{color: string, dashed?: boolean, bold?: boolean, faded?: boolean}} style
 */
export function paintLine(area, series, { color, dashed = false, bold = false, faded = false }) {
  const { context, ratio } = area;
  const { lines, bars, dots } = outline(series, area);
  const [dash, hole, width] = [5 * ratio, 4 * ratio, (bold ? 2.5 : 1.5) * ratio];
  context.save();
  context.beginPath();
  context.rect(area.left, area.top, area.width, area.height);
  context.clip();
  context.globalAlpha = faded ? 0.25 : dashed ? 0.75 : 1;
  context.strokeStyle = color;
  context.fillStyle = color;
  context.lineWidth = width;
  // Round joins cost most of the time of a dense line, where nobody sees them.
  context.lineJoin = "bevel";
  context.setLineDash(dashed ? [dash, hole] : []);
  context.beginPath();
  for (const line of lines) {
    context.moveTo(line[0], line[1]);
    for (let at = 2; at < line.length; at += 2) context.lineTo(line[at], line[at + 1]);
  }
  context.stroke();
  const wide = Math.max(Math.round(width), 1);
  for (let at = 0; at < bars.length; at += 3) {
    const [column, top, bottom] = [bars[at], Math.floor(bars[at + 1] - width / 2), Math.ceil(bars[at + 2] + width / 2)];
    if (dashed && column % (dash + hole) >= dash) continue;
    // One beside another is as wide as its column.
    if (bars[at + 3] === column + 1) context.fillRect(column, top, 1, bottom - top);
    else context.fillRect(column - ((wide - 1) >> 1), top, wide, bottom - top);
  }
  context.beginPath();
  const size = 2.5 * ratio;
  for (let at = 0; at < dots.length; at += 2) {
    context.moveTo(dots[at] + size, dots[at + 1]);
    context.arc(dots[at], dots[at + 1], size, 0, 2 * Math.PI);
  }
  context.fill();
  if (!dashed) paintNulls(area, series.nulls);
  context.restore();
}

/**
 * Mark samples without a value, at the foot.
 * @param {Area} area
 * @param {number[]} nulls
 */
function paintNulls({ context, ratio, left, width, top, height, from, to }, nulls) {
  const [arm, y] = [3 * ratio, top + height - 7 * ratio];
  let beyond = -Infinity;
  context.setLineDash([]);
  context.lineWidth = 1.25 * ratio;
  context.beginPath();
  for (const time of nulls) {
    const x = left + ((time - from) / (to - from)) * width;
    // Marks on top of one another say no more than one.
    if (x < beyond || x < left || x > left + width) continue;
    beyond = x + 3 * arm;
    context.moveTo(x - arm, y - arm);
    context.lineTo(x + arm, y + arm);
    context.moveTo(x - arm, y + arm);
    context.lineTo(x + arm, y - arm);
  }
  context.stroke();
}

export const LANE_HEIGHT = 42;
const LABEL_HEIGHT = 17;

/**
 * Draw lanes of states, one below the other.
 * @param {Area} area
 * @param {{series: Series, label: string, color: string, compare: Series | null}[]} lanes
 */
export function paintLanes(area, lanes) {
  const { context, ratio, left, width, from, to } = area;
  const xOf = (/** @type {number} */ time) => left + ((Math.min(Math.max(time, from), to) - from) / (to - from)) * width;
  context.save();
  context.textBaseline = "middle";
  context.textAlign = "left";
  lanes.forEach(({ series, label, color, compare }, index) => {
    const top = area.top + index * LANE_HEIGHT * ratio;
    const bar = top + LABEL_HEIGHT * ratio;
    const height = (LANE_HEIGHT - LABEL_HEIGHT - 5) * ratio;
    context.font = `600 ${12 * ratio}px ${themed("font")}`;
    context.fillStyle = color;
    context.fillRect(left, top + 4 * ratio, 8 * ratio, 8 * ratio);
    context.fillStyle = themed("ink");
    context.fillText(clipped(context, label, width - 20 * ratio), left + 14 * ratio, top + 8.5 * ratio);
    context.fillStyle = themed("sunken");
    context.fillRect(left, bar, width, height);
    context.font = `500 ${11 * ratio}px ${themed("font")}`;
    const part = compare ? height * 0.62 : height;
    paintRuns(series, bar, part);
    if (compare) paintRuns(compare, bar + part + ratio, height - part - ratio);
  });
  context.restore();

  /**
   * @param {Series} series
   * @param {number} top
   * @param {number} height
   */
  function paintRuns(series, top, height) {
    for (const run of runsOf(series)) {
      if (run.to <= from || run.from >= to) continue;
      const [x, end] = [xOf(run.from), xOf(run.to)];
      const { fill, ink } = stateColor(run.value);
      context.fillStyle = fill;
      context.fillRect(x, top, Math.max(end - x, ratio), height);
      const text = run.value === null ? "no value" : String(run.value);
      if (end - x > context.measureText(text).width + 12 * ratio && height > 12 * ratio) {
        context.fillStyle = ink;
        context.fillText(text, x + 6 * ratio, top + height / 2 + 0.5 * ratio);
      }
    }
  }
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {string} text
 * @param {number} width
 */
function clipped(context, text, width) {
  if (context.measureText(text).width <= width) return text;
  let end = text.length;
  while (end > 1 && context.measureText(`${text.slice(0, end)}…`).width > width) end -= 1;
  return `${text.slice(0, end)}…`;
}
