// Finds points by words, as people of the trade write them. Pure.

/** What abbreviations stand for: any of these, or the abbreviation as a word of its own. */
const ABBREVIATIONS = /** @type {Record<string, string>} */ ({
  ahu: "air handling unit",
  chw: "chilled water", chwr: "chilled water return", chws: "chilled water supply",
  clg: "cooling", co2: "carbon dioxide", cw: "condenser water",
  da: "discharge air", dat: "discharge air temp", dmp: "damper",
  ea: "exhaust air", elec: "electric",
  hhw: "heating hot water", htg: "heating|reheat", hum: "humidity", hw: "hot water",
  kw: "power|kilowatt", kwh: "energy|kilowatt hours",
  ma: "mixed air", mat: "mixed air temp",
  oa: "outdoor air|outside air", oat: "outdoor air temp|outside air temp", occ: "occup",
  pos: "position",
  ra: "return air", rat: "return air temp", rh: "humidity",
  sa: "supply air", sat: "supply air temp", sp: "setpoint|set point|static pressure", spd: "speed",
  vlv: "valve",
  zat: "zone air temp", zn: "zone",
});

/**
 * @typedef {object} Point
 * @property {string} name As the API has it.
 * @property {string} unit "" where none is known.
 * @property {number} interval Milliseconds between samples; 0 where not known.
 * @property {boolean} silent Configured, but not collected.
 * @property {string} text What is searched: name, unit, tags, in lower case, with spaces around.
 */

/**
 * @param {any} item As the API's list has it.
 * @returns {Point}
 */
export function pointOf(item) {
  const tags = item.kv_tags && typeof item.kv_tags === "object" ? item.kv_tags : {};
  const unit = [item.unit, item.units, tags.unit, tags.units].find((each) => typeof each === "string" && each) ?? "";
  const words = [item.name, unit, ...(item.marker_tags ?? []), ...(item.tags ?? []), ...Object.entries(tags).map((each) => each.join("="))];
  return {
    name: String(item.name),
    unit,
    interval: Number(item.collect_interval) > 0 ? Number(item.collect_interval) * 1000 : 0,
    silent: item.collect_enabled === false,
    text: ` ${words.join(" ").toLowerCase()} `,
  };
}

/** @param {string} text */
const escaped = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");

/**
 * Return whether a point has each word. An abbreviation is looked for as a word of its own, and as what it stands for.
 * @param {string} query
 * @returns {(point: Point) => boolean}
 */
export function matcher(query) {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  const patterns = words.map((word) => {
    if (!Object.hasOwn(ABBREVIATIONS, word)) return new RegExp(escaped(word));
    return new RegExp(`${ABBREVIATIONS[word].replaceAll(" ", "[ _-]?")}|(?<![a-z])${word}(?![a-z])`);
  });
  return (point) => patterns.every((pattern) => pattern.test(point.text));
}

/**
 * @param {string} name
 * @param {string} site
 * @returns {{path: string, last: string}} The last part of a name, and what stands before it, without the site.
 */
export function partsOf(name, site) {
  const short = name.startsWith(`${site}/`) ? name.slice(site.length + 1) : name;
  const cut = short.lastIndexOf("/");
  return { path: cut < 0 ? "" : short.slice(0, cut), last: short.slice(cut + 1) };
}

/**
 * Return the shortest ends of names that tell them apart: `AHU-01 / Supply Air Temperature`.
 * @param {string[]} names
 * @param {string} site
 * @returns {string[]} As many.
 */
export function shortNames(names, site) {
  const parts = names.map((name) => (name.startsWith(`${site}/`) ? name.slice(site.length + 1) : name).split("/"));
  return parts.map((own, index) => {
    for (let count = 1; count < own.length; count += 1) {
      const end = own.slice(-count).join("/");
      if (!parts.some((other, each) => each !== index && other.slice(-count).join("/") === end)) return own.slice(-count).join(" / ");
    }
    return own.join(" / ");
  });
}
