// The question of a chart as people ask it elsewhere. Pure.

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
