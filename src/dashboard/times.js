// Instants, zones and ranges as people write them, and the address that says what is looked at. Pure. An instant is a
// number of epoch milliseconds, a span is one of milliseconds, a zone is an IANA name.

const SECOND = 1000;
const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;
const WEEK = 7 * DAY;
export const YEAR = 365 * DAY;

/** The Worker refuses longer ranges. */
const SPAN_MAX = 20 * YEAR;
export const SPAN_MIN = 10 * SECOND;

/** @typedef {{from: number, to: number}} Range Half-open: from ≤ t < to. */
/** @typedef {{from: string, to: string}} RangeText As typed, or as in the address. */

const UNITS = /** @type {Record<string, number>} */ ({ s: SECOND, m: MINUTE, h: HOUR, d: DAY, w: WEEK, y: YEAR });
const RELATIVE = /^now(?:\s*-\s*(\d{1,6})\s*([smhdwy]))?$/i;
const DATE = /^(\d{4})-?(\d\d)-?(\d\d)(?:[T ](\d\d):?(\d\d)(?::?(\d\d)(?:[.,](\d{1,3})\d*)?)?)?\s*(Z|[+-]\d\d:?\d\d)?$/i;

/** Names of ranges and what they mean; `calendar` ones are counted in the zone shown. */
export const PRESETS = [
  { label: "1 h", from: "now-1h", to: "now" },
  { label: "6 h", from: "now-6h", to: "now" },
  { label: "24 h", from: "now-24h", to: "now" },
  { label: "7 d", from: "now-7d", to: "now" },
  { label: "30 d", from: "now-30d", to: "now" },
  { label: "90 d", from: "now-90d", to: "now" },
  { label: "1 y", from: "now-1y", to: "now" },
  { label: "Today", from: "today", to: "now" },
  { label: "Yesterday", from: "yesterday", to: "today" },
  { label: "This week", from: "week", to: "now" },
  { label: "Last week", from: "lastweek", to: "week" },
  { label: "This month", from: "month", to: "now" },
  { label: "Last month", from: "lastmonth", to: "month" },
];

/**
 * Return how far a zone's clocks are ahead of UTC at an instant, in milliseconds.
 * @param {number} ms
 * @param {string} zone
 */
function offsetOf(ms, zone) {
  if (zone === "UTC") return 0;
  const part = wallClock(ms, zone);
  return Date.UTC(part.year, part.month - 1, part.day, part.hour, part.minute, part.second) - Math.floor(ms / 1000) * 1000;
}

/** @type {Map<string, Intl.DateTimeFormat>} */
const clocks = new Map();

/**
 * @param {number} ms
 * @param {string} zone
 * @returns {{year: number, month: number, day: number, hour: number, minute: number, second: number}}
 */
export function wallClock(ms, zone) {
  let clock = clocks.get(zone);
  if (!clock) {
    clock = new Intl.DateTimeFormat("en-GB", {
      timeZone: zone, hourCycle: "h23",
      year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit",
    });
    clocks.set(zone, clock);
  }
  const found = { year: 0, month: 0, day: 0, hour: 0, minute: 0, second: 0 };
  for (const { type, value } of clock.formatToParts(ms)) if (type in found) found[/** @type {"year"} */ (type)] = Number(value);
  return found;
}

/**
 * Return the instant at which a zone's clocks show a time; of two, the first. A time that they leave out is the one
 * that they show instead.
 * @param {number} wall The time, as if it were one of UTC.
 * @param {string} zone
 */
export function fromWall(wall, zone) {
  const early = wall - offsetOf(wall - DAY, zone);
  if (early + offsetOf(early, zone) === wall) return early;
  const late = wall - offsetOf(wall + DAY, zone);
  return late + offsetOf(late, zone) === wall ? late : early;
}

/**
 * Return an instant from text, null where it is none: `now-7d`, `today`, `2026-10-01`, `2026-10-01 14:30`, ISO 8601
 * with an offset, epoch milliseconds. Times without an offset are read in the zone.
 * @param {string} text
 * @param {number} now
 * @param {string} zone
 * @returns {number | null}
 */
export function parseInstant(text, now, zone) {
  const plain = text.trim();
  const relative = RELATIVE.exec(plain);
  if (relative) return now - Number(relative[1] ?? 0) * (UNITS[(relative[2] ?? "s").toLowerCase()] ?? 0);
  const named = namedDay(plain.toLowerCase().replace(/[\s-]/g, ""), now, zone);
  if (named !== null) return named;
  if (/^\d{12,14}$/.test(plain)) return Number(plain);
  const match = DATE.exec(plain);
  if (!match) return null;
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map((digits) => Number(digits ?? 0));
  const wall = Date.UTC(year, month - 1, day, hour, minute, second, Number((match[7] ?? "0").padEnd(3, "0")));
  const read = new Date(wall);
  // Date.UTC takes 31 June for 1 July.
  if (read.getUTCMonth() !== month - 1 || read.getUTCDate() !== day || hour > 23 || minute > 59 || second > 59) return null;
  const offset = match[8];
  if (!offset) return fromWall(wall, zone);
  if (offset.toUpperCase() === "Z") return wall;
  const sign = offset[0] === "-" ? -1 : 1;
  const digits = offset.slice(1).replace(":", "");
  return wall - sign * (Number(digits.slice(0, 2)) * HOUR + Number(digits.slice(2)) * MINUTE);
}

/**
 * @param {string} name
 * @param {number} now
 * @param {string} zone
 * @returns {number | null}
 */
function namedDay(name, now, zone) {
  const { year, month, day } = wallClock(now, zone);
  const weekday = (new Date(Date.UTC(year, month - 1, day)).getUTCDay() + 6) % 7;
  /** @type {Record<string, number>} */
  const walls = {
    today: Date.UTC(year, month - 1, day),
    yesterday: Date.UTC(year, month - 1, day - 1),
    week: Date.UTC(year, month - 1, day - weekday),
    lastweek: Date.UTC(year, month - 1, day - weekday - 7),
    month: Date.UTC(year, month - 1, 1),
    lastmonth: Date.UTC(year, month - 2, 1),
  };
  return Object.hasOwn(walls, name) ? fromWall(walls[name], zone) : null;
}

/**
 * Return a range from its two texts, or what is wrong with them.
 * @param {RangeText} text
 * @param {number} now
 * @param {string} zone
 * @returns {{range: Range, problem: null} | {range: null, problem: string}}
 */
export function parseRange(text, now, zone) {
  const [from, to] = [parseInstant(text.from, now, zone), parseInstant(text.to, now, zone)];
  if (from === null) return { range: null, problem: `From cannot be read: “${text.from}”. Write 2026-10-01, 2026-10-01 14:30 or now-7d.` };
  if (to === null) return { range: null, problem: `To cannot be read: “${text.to}”. Write 2026-10-01, 2026-10-01 14:30 or now.` };
  if (from >= to) return { range: null, problem: "From must be before To." };
  if (to - from > SPAN_MAX) return { range: null, problem: "At most 20 years can be shown at once." };
  return { range: { from, to }, problem: null };
}

/**
 * Shift a range by a number of its own spans; it never begins after now.
 * @param {Range} range
 * @param {number} spans
 * @param {number} now
 * @returns {Range}
 */
export function shifted(range, spans, now) {
  const span = range.to - range.from;
  const by = Math.min(spans * span, Math.max(now - range.to, 0));
  return spans > 0 ? { from: range.from + by, to: range.to + by } : { from: range.from + spans * span, to: range.to + spans * span };
}

/**
 * Make a range wider (factor > 1) or narrower around an instant that keeps its place; never past now, unless it is
 * there already.
 * @param {Range} range
 * @param {number} factor
 * @param {number} now
 * @param {number} [centre] Half-way between the ends where none is given.
 * @returns {Range}
 */
export function zoomed(range, factor, now, centre = (range.from + range.to) / 2) {
  const old = range.to - range.from;
  const span = Math.min(Math.max(old * factor, SPAN_MIN), SPAN_MAX);
  const from = centre - ((centre - range.from) / old) * span;
  const over = Math.max(0, from + span - Math.max(now, range.to));
  return { from: Math.round(from - over), to: Math.round(from + span - over) };
}

const STEPS = [SECOND, 15 * SECOND, MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 4 * HOUR, DAY, WEEK];

/**
 * Return the range to ask for: the one shown, aligned outward to a step that is small beside it, so that charts that
 * differ by a few pixels ask the same question. An end in the future is now.
 * @param {Range} range
 * @param {number} now
 * @param {number} buckets How many buckets the answer has room for.
 * @returns {Range}
 */
export function aligned(range, now, buckets) {
  const ideal = (range.to - range.from) / Math.max(buckets, 1);
  const step = STEPS.filter((each) => each <= ideal * 4).at(-1) ?? SECOND;
  const to = Math.ceil(range.to / step) * step;
  return { from: Math.floor(range.from / step) * step, to: to > now ? Math.max(Math.min(range.to, now), range.from + 1) : to };
}

/**
 * @param {number} ms
 * @param {string} zone
 * @returns {string} `+01:00`; `Z` for none.
 */
export function offsetText(ms, zone) {
  const minutes = Math.round(offsetOf(ms, zone) / MINUTE);
  if (minutes === 0) return "Z";
  const two = (/** @type {number} */ number) => String(number).padStart(2, "0");
  const size = Math.abs(minutes);
  return `${minutes < 0 ? "-" : "+"}${two(Math.floor(size / 60))}:${two(size % 60)}`;
}

/**
 * @param {number} ms
 * @param {string} zone
 * @param {{seconds?: boolean, offset?: boolean}} [options]
 * @returns {string} `2026-10-01 14:30`, with seconds and offset where asked for.
 */
export function formatInstant(ms, zone, { seconds = false, offset = false } = {}) {
  const wall = new Date(ms + offsetOf(ms, zone)).toISOString();
  return `${wall.slice(0, 10)} ${wall.slice(11, seconds ? 19 : 16)}${offset ? ` ${offsetText(ms, zone)}` : ""}`;
}

/**
 * @param {number} ms
 * @param {string} zone
 * @returns {string} As `datetime-local` inputs have it.
 */
export function inputText(ms, zone) {
  return formatInstant(ms, zone).replace(" ", "T");
}

/** @param {number} ms A duration. */
export function formatSpan(ms) {
  if (ms < MINUTE) return `${Math.round(ms / SECOND)} s`;
  if (ms < 2 * HOUR) return `${Math.round(ms / MINUTE)} min`;
  if (ms < 2 * DAY) return `${Math.round(ms / HOUR)} h`;
  return `${Math.round(ms / DAY)} d`;
}

/** @param {number} ms A duration, as a clock shows it. */
export function formatElapsed(ms) {
  const seconds = Math.max(0, Math.floor(ms / SECOND));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

export const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const WEEKDAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

/**
 * Return a text for each tick: the time, and the date below it where it is another one than before.
 * @param {number[]} ticks Epoch milliseconds, ascending.
 * @param {number} step Milliseconds between them.
 * @param {string} zone
 * @returns {string[]}
 */
export function axisText(ticks, step, zone) {
  const two = (/** @type {number} */ number) => String(number).padStart(2, "0");
  let before = "";
  return ticks.map((tick) => {
    const { year, month, day, hour, minute, second } = wallClock(tick, zone);
    const weekday = WEEKDAYS[new Date(Date.UTC(year, month - 1, day)).getUTCDay()];
    const [upper, lower] =
      step >= 300 * DAY ? [String(year), ""]
      : step >= 27 * DAY ? [MONTHS[month - 1], String(year)]
      : step >= 20 * HOUR ? [`${day} ${MONTHS[month - 1]}`, String(year)]
      : [`${two(hour)}:${two(minute)}${step < MINUTE ? `:${two(second)}` : ""}`, `${weekday} ${day} ${MONTHS[month - 1]}`];
    const text = lower && lower !== before ? `${upper}\n${lower}` : upper;
    before = lower;
    return text;
  });
}

// What is looked at, as the address has it.

export const POINTS_MAX = 20;
export const REFRESHES = { "": 0, 1: 60_000, 5: 300_000, 15: 900_000 };
export const COMPARISONS = /** @type {const} */ (["", "prev", "1d", "7d", "1y"]);

/**
 * @typedef {object} View
 * @property {string} site "" where none is chosen.
 * @property {string[]} points Names, at most POINTS_MAX.
 * @property {string} from As parseInstant reads it.
 * @property {string} to
 * @property {string} tz "" is the browser's zone.
 * @property {string} refresh Minutes; "" is off.
 * @property {string[]} hide Names of points that are not drawn.
 * @property {string} cmp One of COMPARISONS.
 */

/** @returns {View} */
export const emptyView = () => ({ site: "", points: [], from: "now-24h", to: "now", tz: "", refresh: "", hide: [], cmp: "" });

/**
 * @param {string} search `location.search`.
 * @returns {View}
 */
export function readAddress(search) {
  const query = new URLSearchParams(search);
  const view = emptyView();
  view.site = query.get("site") ?? "";
  view.points = [...new Set(query.getAll("p").filter(Boolean))].slice(0, POINTS_MAX);
  view.from = query.get("from") || view.from;
  view.to = query.get("to") || view.to;
  view.tz = zoneOf(query.get("tz") ?? "");
  const refresh = (query.get("refresh") ?? "").replace(/m(in)?$/, "");
  view.refresh = Object.hasOwn(REFRESHES, refresh) ? refresh : "";
  view.hide = query.getAll("hide").filter((name) => view.points.includes(name));
  const cmp = query.get("cmp") ?? "";
  view.cmp = COMPARISONS.find((each) => each === cmp) ?? "";
  return view;
}

/** @param {string} name */
function zoneOf(name) {
  if (/^(browser|local)?$/i.test(name)) return "";
  if (/^utc$/i.test(name)) return "UTC";
  try {
    return new Intl.DateTimeFormat("en", { timeZone: name }).resolvedOptions().timeZone;
  } catch {
    return "";
  }
}

/**
 * @param {View} view
 * @returns {string} `?site=…`, shortest form; "" for the empty view.
 */
export function writeAddress(view) {
  const query = new URLSearchParams();
  const plain = emptyView();
  if (view.site) query.set("site", view.site);
  for (const name of view.points) query.append("p", name);
  for (const key of /** @type {const} */ (["from", "to", "tz", "refresh", "cmp"])) if (view[key] !== plain[key]) query.set(key, view[key]);
  for (const name of view.hide) query.append("hide", name);
  // Names hold slashes, which need no escape in a query.
  const text = query.toString().replaceAll("%2F", "/").replaceAll("%3A", ":");
  return text ? `?${text}` : "";
}
