// What is looked at, and the address that says so. Pure.

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
