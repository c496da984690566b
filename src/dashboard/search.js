// Finds points by words, as people of the trade write them. Pure.

/** What abbreviations stand for: any of the words may occur instead. */
const ABBREVIATIONS = /** @type {Record<string, string[]>} */ ({
  ahu: ["air handling unit", "ahu"],
  chw: ["chilled water", "chw"],
  chws: ["chilled water supply", "chws"],
  chwr: ["chilled water return", "chwr"],
  clg: ["cooling", "clg"],
  co2: ["carbon dioxide", "co2"],
  cw: ["condenser water", "cw"],
  da: ["discharge air", "da"],
  dat: ["discharge air temp", "dat"],
  dmp: ["damper", "dmp"],
  ea: ["exhaust air", "ea"],
  elec: ["electric", "elec"],
  hhw: ["heating hot water", "hhw"],
  htg: ["heating", "reheat", "htg"],
  hw: ["hot water", "hw"],
  hum: ["humidity", "hum"],
  kw: ["power", "kilowatt", "kw"],
  kwh: ["energy", "kilowatt hours", "kwh"],
  ma: ["mixed air", "ma"],
  mat: ["mixed air temp", "mat"],
  oa: ["outdoor air", "outside air", "oa"],
  oat: ["outdoor air temp", "outside air temp", "oat"],
  occ: ["occup", "occ"],
  pos: ["position", "pos"],
  ra: ["return air", "ra"],
  rat: ["return air temp", "rat"],
  rh: ["relative humidity", "humidity", "rh"],
  sa: ["supply air", "sa"],
  sat: ["supply air temp", "sat"],
  sp: ["setpoint", "set point", "static pressure", "sp"],
  spd: ["speed", "spd"],
  temp: ["temp"],
  vlv: ["valve", "vlv"],
  zat: ["zone air temp", "zat"],
  zn: ["zone", "zn"],
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
    const forms = ABBREVIATIONS[word].map((form) => (form === word ? `(?<![a-z])${escaped(form)}(?![a-z])` : escaped(form).replaceAll(" ", "[ _-]?")));
    return new RegExp(forms.join("|"));
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
