// Samples as charts need them. Pure.

/** @typedef {import("./times.js").Range} Range */

/**
 * @typedef {object} Series
 * @property {string} name
 * @property {"number" | "state" | "empty"} kind
 * @property {Float64Array} times Ascending, epoch milliseconds.
 * @property {Float64Array} values NaN where a sample is no number.
 * @property {(string | number | boolean | null)[] | null} raw Samples as they came, of states.
 * @property {number[]} nulls Times of samples without a value.
 * @property {number} texts How many samples of a numeric series are texts, which no line can show.
 * @property {number} gap Samples further apart than this many milliseconds are not joined.
 * @property {string | null} error Why there is nothing.
 * @property {boolean} thinned Whether samples were left out, so that peaks stay visible.
 * @property {string} level Width of the buckets that the samples were chosen from; "" where that is not said.
 */

const SAMPLES_PER_BUCKET = 4;
const GAP_INTERVALS = 3;
const ENUMERATION_MAX = 6;
const WIDTHS = /** @type {Record<string, number>} */ ({ s: 1000, m: 60_000, min: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 });

/**
 * @param {string} name
 * @param {{samples?: [number, any][], error?: string | null, level?: string | number}} answer Of one point.
 * @param {{unit: string, interval: number, span: number, maxPoints: number | null}} how The point's unit and interval
 *   (0: not known), the range's length, and the most samples that were asked for.
 * @returns {Series}
 */
export function seriesOf(name, answer, { unit, interval, span, maxPoints }) {
  const samples = answer.samples ?? [];
  const times = new Float64Array(samples.length);
  const values = new Float64Array(samples.length);
  /** @type {number[]} */
  const nulls = [];
  let numbers = 0;
  samples.forEach(([time, value], index) => {
    times[index] = time;
    const isNumber = typeof value === "number";
    values[index] = isNumber ? value : NaN;
    if (isNumber) numbers += 1;
    else if (value === null) nulls.push(time);
  });
  const texts = samples.length - numbers - nulls.length;
  const how = { interval, span, maxPoints };
  const thinned = isThinned(answer.level, times.length, how);
  const isState = texts > numbers || (unit === "" && numbers > 0 && isEnumeration(values));
  return {
    name,
    kind: samples.length === 0 ? "empty" : isState ? "state" : "number",
    times,
    values,
    raw: isState ? samples.map((sample) => (typeof sample[1] === "object" && sample[1] !== null ? JSON.stringify(sample[1]) : sample[1])) : null,
    nulls,
    texts: isState ? 0 : texts,
    gap: isState && thinned ? Infinity : gapOf(times, { interval, width: widthOf(answer.level, times.length, how) }),
    error: answer.error ?? null,
    thinned,
    level: typeof answer.level === "string" ? answer.level : "",
  };
}

/**
 * Return whether numbers without a unit number the states of something: few small integers.
 * @param {Float64Array} values
 */
function isEnumeration(values) {
  const found = new Set();
  for (const value of values) {
    if (Number.isNaN(value)) continue;
    if (!Number.isInteger(value) || value < 0 || value > 16) return false;
    found.add(value);
    if (found.size > ENUMERATION_MAX) return false;
  }
  return true;
}

/** @typedef {{interval: number, span: number, maxPoints: number | null}} How */

/**
 * Return whether samples were left out: the answer says so, or there would be more than were asked for.
 * @param {string | number | undefined} level
 * @param {number} count
 * @param {How} how
 */
function isThinned(level, count, { interval, span, maxPoints }) {
  if (level !== undefined) return level !== "raw" && level !== 0;
  if (maxPoints === null) return false;
  // A bucket gives two samples or more, unless there were so few that none was left out.
  return interval ? span / interval > maxPoints : count > maxPoints / 3;
}

/**
 * Return the width of the buckets that samples were chosen from, in milliseconds; 0 where all samples are there.
 * @param {string | number | undefined} level
 * @param {number} count
 * @param {How} how
 */
export function widthOf(level, count, how) {
  if (typeof level === "number") return level;
  const match = /^(\d+)\s*(s|min|m|h|d|w)$/.exec(level ?? "");
  if (match) return Number(match[1]) * WIDTHS[match[2]];
  return isThinned(level, count, how) && how.maxPoints ? (how.span * SAMPLES_PER_BUCKET) / how.maxPoints : 0;
}

/**
 * @param {Float64Array} times
 * @param {{interval: number, width: number}} how
 * @returns {number}
 */
function gapOf(times, { interval, width }) {
  let usual = interval;
  if (!usual && times.length > 2) {
    const steps = Array.from({ length: Math.min(times.length - 1, 500) }, (_, index) => times[index + 1] - times[index]);
    usual = steps.sort((a, b) => a - b)[steps.length >> 1];
  }
  if (!usual && !width) return Infinity;
  // Two samples of neighbouring buckets are up to two widths apart.
  return Math.max(GAP_INTERVALS * usual, 2 * width + usual);
}

/**
 * Return the index of the first sample at or after an instant.
 * @param {Float64Array} times
 * @param {number} time
 */
export function firstAt(times, time) {
  let [low, high] = [0, times.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle] < time) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * Return the index of the sample next to an instant, -1 where none is near: of a line the nearest within a gap, of a
 * state the one that holds.
 * @param {Series} series
 * @param {number} time
 */
export function sampleNear(series, time) {
  const { times, gap } = series;
  const after = firstAt(times, time);
  if (series.kind === "state") {
    const holding = after < times.length && times[after] === time ? after : after - 1;
    return holding >= 0 && time - times[holding] <= gap ? holding : -1;
  }
  const before = after - 1;
  const nearest = after >= times.length || (before >= 0 && time - times[before] < times[after] - time) ? before : after;
  return nearest >= 0 && Math.abs(times[nearest] - time) <= gap ? nearest : -1;
}

/** @typedef {{last: number, min: number, mean: number, max: number, count: number, lastTime: number}} Figures */

/**
 * Return the figures of the numbers within a range; NaN where there is none.
 * @param {Series} series
 * @param {Range} range
 * @returns {Figures}
 */
export function figuresOf(series, range) {
  let [min, max, sum, numbers, last, lastTime] = [Infinity, -Infinity, 0, 0, NaN, NaN];
  const end = firstAt(series.times, range.to);
  const start = firstAt(series.times, range.from);
  for (let index = start; index < end; index += 1) {
    const value = series.values[index];
    if (Number.isNaN(value)) continue;
    if (value < min) min = value;
    if (value > max) max = value;
    sum += value;
    numbers += 1;
    last = value;
    lastTime = series.times[index];
  }
  const none = numbers === 0;
  return { last, lastTime, min: none ? NaN : min, max: none ? NaN : max, mean: none ? NaN : sum / numbers, count: end - start };
}

/** @typedef {{from: number, to: number, value: string | number | boolean | null}} Run */

/**
 * Return the stretches of equal states; one ends where the next begins, or, before a gap, an interval after its last
 * sample.
 * @param {Series} series
 * @returns {Run[]}
 */
export function runsOf(series) {
  const { times, raw, gap } = series;
  /** @type {Run[]} */
  const runs = [];
  if (!raw) return runs;
  const held = Number.isFinite(gap) ? gap / GAP_INTERVALS : 0;
  for (let index = 0; index < times.length; index += 1) {
    const next = index + 1 < times.length ? times[index + 1] : Infinity;
    const to = next - times[index] <= gap ? next : times[index] + held;
    const last = runs.at(-1);
    if (last && last.value === raw[index] && last.to === times[index]) last.to = to;
    else runs.push({ from: times[index], to, value: raw[index] });
  }
  return runs;
}

/**
 * Move a series in time, to compare it.
 * @param {Series} series
 * @param {number} by
 * @returns {Series}
 */
export function moved(series, by) {
  return { ...series, times: series.times.map((time) => time + by), nulls: series.nulls.map((time) => time + by) };
}

/**
 * Return the limits of a y axis for some series within a range, with room above and below; null for no numbers.
 * @param {Series[]} all
 * @param {Range} range
 * @returns {[number, number] | null}
 */
export function limitsOf(all, range) {
  let [low, high] = [Infinity, -Infinity];
  for (const series of all) {
    // A line from just outside crosses the edge.
    const start = Math.max(firstAt(series.times, range.from) - 1, 0);
    const end = Math.min(firstAt(series.times, range.to) + 1, series.times.length);
    for (let index = start; index < end; index += 1) {
      const value = series.values[index];
      if (value < low) low = value;
      if (value > high) high = value;
    }
  }
  if (low > high) return null;
  const room = (high - low) * 0.08 || Math.abs(high) * 0.1 || 1;
  return [low >= 0 && low - room < 0 ? 0 : low - room, high + room];
}

// Making one takes longer than using it, and the mouse asks for twenty numbers at each move.
const FORMATS = [0, 1, 2, 4].map((digits) => new Intl.NumberFormat("en-US", { maximumFractionDigits: digits }));

/**
 * @param {number} value
 * @returns {string} With the digits that people read: 70.12, 1,234, 0.0042.
 */
export function formatNumber(value) {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size < 0.001 || size >= 1e9)) return value.toExponential(3);
  return FORMATS[size >= 100_000 ? 0 : size >= 100 ? 1 : size >= 1 ? 2 : 3].format(value);
}
