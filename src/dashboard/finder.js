// The list of a site's points: search, choose, copy.

import { POINTS_MAX } from "./address.js";
import { lineColor } from "./paint.js";
import { h, icon, toast } from "./dom.js";
import { matcher, partsOf } from "./search.js";

const ROWS_MAX = 200;

/** @typedef {import("./search.js").Point} Point */

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
    this.all = h("button", { class: "button small", type: "button", title: "Shift+Enter", onclick: () => this.addAll() }, "Add all shown");
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
      h("button", { class: "button small", type: "button", onclick: () => this.onChoose([], 0) }, "Remove all"),
    );
    this.chosenHead.hidden = this.chosenList.hidden = names.length === 0;
    this.chosenList.replaceChildren(
      ...names.map((name, index) => {
        const { path, last } = partsOf(name, this.site);
        const swatch = h("span", { class: "swatch" });
        swatch.style.background = lineColor(index);
        const button = (/** @type {string} */ text, /** @type {string} */ picture, /** @type {() => void} */ act) =>
          h("button", { class: "bare", type: "button", title: text, "aria-label": `${text}: ${last}`, onclick: act }, icon(picture));
        return h(
          "li", { class: "point", title: name }, swatch,
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
