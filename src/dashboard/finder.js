// Finds points by words, as people of the trade write them, and lists them: search, choose, copy.

import { lineColor } from "./paint.js";
import { action, h, icon, swatch, toast } from "./dom.js";
import { POINTS_MAX } from "./times.js";

const ROWS_MAX = 200;

export class Finder {
  /**
   * @param {HTMLElement} host
   * @param {(names: string[], dropped: number) => void} onChoose Takes all names that are chosen now, and how many had
   *   no place.
   */
  constructor(host, onChoose) {
    this.onChoose = onChoose;
    this.site = "";
    /** @type {Point[]} */
    this.points = [];
    /** @type {Point[]} */
    this.found = [];
    /** @type {string[]} */
    this.chosen = [];
    this.note = "";
    this.current = -1;
    this.input = h("input", {
      id: "search", type: "search", placeholder: "Find points: zat, supply temp…", autocomplete: "off", spellcheck: false,
      role: "combobox", "aria-label": "Find points by words of name, unit or tags", "aria-controls": "found", "aria-expanded": "true", "aria-autocomplete": "list",
      oninput: () => this.search(),
      onkeydown: (/** @type {KeyboardEvent} */ event) => this.key(event),
    });
    this.count = h("span", { role: "status" });
    this.all = action("Add all shown", () => this.addAll(), "small", { title: "Shift+Enter" });
    this.list = h("ul", { id: "found", class: "points", role: "listbox", "aria-label": "Points found", "aria-multiselectable": "true", tabIndex: 0 });
    this.list.addEventListener("click", (/** @type {MouseEvent} */ event) => this.clicked(event));
    this.list.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => this.key(event));
    this.chosenHead = h("div", { class: "found" });
    this.chosenList = h("ul", { class: "points chosen", "aria-label": "Points drawn", tabIndex: 0 });
    host.append(h("div", { class: "searchbox" }, icon("search"), this.input), h("div", { class: "found" }, this.count, this.all), this.list, this.chosenHead, this.chosenList);
  }

  /**
   * @param {string} site
   * @param {Point[]} points
   * @param {string} [note] Instead of the number of points.
   */
  setPoints(site, points, note = "") {
    if (site !== this.site) this.input.value = "";
    Object.assign(this, { site, points, note });
    this.search();
  }

  /** @param {string[]} names */
  setChosen(names) {
    this.chosen = names;
    const units = new Map(this.points.map((point) => [point.name, point.unit]));
    this.chosenHead.replaceChildren(
      h("span", null, names.length ? `${names.length} drawn` : "None drawn"),
      action("Remove all", () => this.onChoose([], 0), "small"),
    );
    this.chosenHead.hidden = this.chosenList.hidden = names.length === 0;
    this.chosenList.replaceChildren(
      ...names.map((name, index) => {
        const { path, last } = partsOf(name, this.site);
        const button = (/** @type {string} */ text, /** @type {string} */ picture, /** @type {() => void} */ act) =>
          h("button", { class: "bare", type: "button", title: text, "aria-label": `${text}: ${last}`, onclick: act }, icon(picture));
        return h(
          "li", { class: "point", title: name }, swatch(lineColor(index)),
          h("span", { class: "names" }, h("b", null, last), h("span", { class: "path" }, [units.get(name), path].filter(Boolean).join(" · "))),
          button("Copy the API's name", "copy", () => copyName(name)),
          button("Remove", "close", () => this.onChoose(this.chosen.filter((each) => each !== name), 0)),
        );
      }),
    );
    for (const row of this.list.children) row.setAttribute("aria-selected", String(names.includes(row.dataset.name ?? "")));
  }

  search() {
    const matches = matcher(this.input.value);
    this.found = this.points.filter(matches);
    this.current = this.found.length && this.input.value ? 0 : -1;
    this.render();
  }

  render() {
    const shown = this.found.slice(0, ROWS_MAX);
    this.all.disabled = this.found.length === 0;
    this.count.textContent =
      this.note ||
      (this.points.length === 0 ? "Choose a site first"
      : this.found.length === 0 ? "No point has all of these words"
      : `${this.found.length.toLocaleString("en-US")} of ${this.points.length.toLocaleString("en-US")} points${shown.length < this.found.length ? `, ${ROWS_MAX} listed` : ""}`);
    this.list.replaceChildren(
      ...shown.map((point, index) => {
        const { path, last } = partsOf(point.name, this.site);
        return h(
          "li",
          { class: "point", id: `found-${index}`, role: "option", "aria-selected": String(this.chosen.includes(point.name)), "data-name": point.name, title: point.name },
          h("span", { class: "names" }, h("b", null, last), h("span", { class: "path" }, path + (point.silent ? " · not collected" : ""))),
          point.unit ? h("span", { class: "unit" }, point.unit) : null,
        );
      }),
    );
    this.list.hidden = this.points.length === 0;
    this.mark();
  }

  mark() {
    for (const row of this.list.querySelectorAll(".current")) row.classList.remove("current");
    const row = this.list.children[this.current];
    row?.classList.add("current");
    row?.scrollIntoView({ block: "nearest" });
    if (row) this.input.setAttribute("aria-activedescendant", row.id);
    else this.input.removeAttribute("aria-activedescendant");
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const count = this.list.children.length;
    const steps = /** @type {Record<string, number>} */ ({ ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8 });
    if (event.key in steps && count) {
      this.current = Math.min(Math.max(this.current + steps[event.key], 0), count - 1);
      this.mark();
    } else if (event.key === "Enter" && event.shiftKey) this.addAll();
    else if (event.key === "Enter" && this.current >= 0) this.toggle(this.found[this.current].name);
    else if (event.key === "Escape" && this.input.value) {
      this.input.value = "";
      this.search();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** @param {MouseEvent} event */
  clicked(event) {
    const row = /** @type {HTMLElement | null} */ (/** @type {HTMLElement} */ (event.target).closest("[data-name]"));
    if (!row?.dataset.name) return;
    this.current = [...this.list.children].indexOf(row);
    this.mark();
    this.toggle(row.dataset.name);
  }

  /** @param {string} name */
  toggle(name) {
    if (this.chosen.includes(name)) this.onChoose(this.chosen.filter((each) => each !== name), 0);
    else if (this.chosen.length >= POINTS_MAX) toast(`At most ${POINTS_MAX} points are drawn at once: remove one first.`);
    else this.onChoose([...this.chosen, name], 0);
  }

  addAll() {
    const fresh = this.found.filter((point) => !this.chosen.includes(point.name)).map((point) => point.name);
    const room = POINTS_MAX - this.chosen.length;
    this.onChoose([...this.chosen, ...fresh.slice(0, room)], Math.max(fresh.length - room, 0));
  }
}

/** @param {string} name */
async function copyName(name) {
  await navigator.clipboard.writeText(name);
  toast("Copied the point's name as the API has it.");
}

// What follows is pure.

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
