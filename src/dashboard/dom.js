// Makes and finds elements.

/**
 * Make an element. Properties are set as such; `class`, `data-…`, `aria-…` and other attributes by name; `on…` are
 * listeners. Children that are null or false are left out.
 * @param {string} tag
 * @param {Record<string, any> | null} [properties]
 * @param {...(Node | string | null | false)} children
 * @returns {any}
 */
export function h(tag, properties, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element && !name.includes("-")) /** @type {any} */ (element)[name] = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.filter((child) => child !== null && child !== false));
  return element;
}

/**
 * Make a button.
 * @param {string} label
 * @param {() => void} onclick
 * @param {string} [kind]
 * @param {Record<string, any>} [more] Properties.
 */
export const action = (label, onclick, kind = "", more = {}) => h("button", { class: `button ${kind}`, type: "button", onclick, ...more }, label);

/**
 * @param {string} id
 * @returns {any} The element; it is in index.html.
 */
export function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`index.html has no #${id}`);
  return found;
}

/**
 * Make an element of a drawing.
 * @param {string} tag
 * @param {Record<string, string>} attributes
 * @param {...Node} children
 */
export function svg(tag, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/**
 * Make an icon of index.html's sprite.
 * @param {string} name
 */
export const icon = (name) => svg("svg", { class: "icon", "aria-hidden": "true" }, svg("use", { href: `#i-${name}` }));

/**
 * Make the little square that stands for a line.
 * @param {string} color
 */
export function swatch(color) {
  const square = h("span", { class: "swatch" });
  square.style.background = color;
  return square;
}

/**
 * Make a table that can be scrolled by keys, too.
 * @param {string} label
 * @param {(string | [string, string])[]} heads With a title or without; those that begin with `#` are of numbers.
 * @param {Node[]} rows
 */
export function table(label, heads, rows) {
  const head = heads.map((each) => {
    const [text, title] = typeof each === "string" ? [each, null] : each;
    return h("th", { scope: "col", class: kindOf(text), title }, text.replace("#", ""));
  });
  return h("div", { class: "tablebox", tabIndex: 0, role: "region", "aria-label": label },
    h("table", null, h("thead", null, h("tr", null, ...head)), h("tbody", null, ...rows)));
}

/**
 * Return the class of a column's cells.
 * @param {string} head
 */
export const kindOf = (head) => (head.startsWith("#") ? "num" : null);

/**
 * Return what a failure says.
 * @param {unknown} error
 */
export const reasonOf = (error) => (error instanceof Error ? error.message : String(error));

/**
 * Say something to screen readers, and for some seconds to all.
 * @param {string} text
 */
export function toast(text) {
  const box = byId("toast");
  box.textContent = text;
  box.hidden = false;
  clearTimeout(Number(box.dataset.timer));
  box.dataset.timer = String(setTimeout(() => (box.hidden = true), 4000));
}

/**
 * Let a person have some bytes as a file.
 * @param {Blob} blob
 * @param {string} name
 */
export function saveFile(blob, name) {
  const url = URL.createObjectURL(blob);
  h("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
