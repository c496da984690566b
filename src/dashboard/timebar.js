// The panel in which a time is chosen.

import { h } from "./dom.js";
import { formatInstant, inputText, offsetText, parseRange, PRESETS } from "./times.js";

/** @typedef {import("./times.js").Range} Range */
/** @typedef {import("./times.js").RangeText} RangeText */

/**
 * Return how a range is called.
 * @param {RangeText} text
 * @param {Range} range
 * @param {string} zone
 */
export function rangeName(text, range, zone) {
  const preset = PRESETS.find((each) => each.from === text.from && each.to === text.to);
  if (preset) return /^\d/.test(preset.label) ? `Last ${preset.label}` : preset.label;
  const [from, to] = [formatInstant(range.from, zone), formatInstant(range.to, zone)];
  if (text.to.trim() === "now") return `Since ${from}`;
  return from.slice(0, 10) === to.slice(0, 10) ? `${from} – ${to.slice(11)}` : `${from} – ${to}`;
}

/**
 * Fill the panel.
 * @param {HTMLElement} panel
 * @param {{text: RangeText, range: Range, zone: string, isUtc: boolean, browserZone: string}} shown
 * @param {{onText: (text: RangeText) => void, onZone: (isUtc: boolean) => void}} hooks
 */
export function fillTimePanel(panel, { text, range, zone, isUtc, browserZone }, { onText, onZone }) {
  const problem = h("p", { class: "error", role: "alert", hidden: true });
  const accept = (/** @type {RangeText} */ typed) => {
    const read = parseRange(typed, Date.now(), zone);
    problem.hidden = read.problem === null;
    problem.textContent = read.problem ?? "";
    if (read.problem === null) {
      panel.hidePopover();
      onText(typed);
    }
  };
  const presets = PRESETS.map((preset) =>
    h("button", { class: "button small", type: "button", "aria-pressed": String(preset.from === text.from && preset.to === text.to), onclick: () => accept(preset) }, preset.label),
  );
  const picker = (/** @type {string} */ label, /** @type {number} */ ms) => {
    const input = h("input", { type: "datetime-local", value: inputText(ms, zone) });
    return { input, element: h("label", null, label, input) };
  };
  const typed = (/** @type {string} */ label, /** @type {string} */ value, /** @type {string} */ id) => {
    const input = h("input", { type: "text", id, value, spellcheck: false, autocomplete: "off" });
    return { input, element: h("label", null, label, input) };
  };
  const [from, to] = [picker("From", range.from), picker("To", range.to)];
  const [fromText, toText] = [typed("From", text.from, "from-text"), typed("To", text.to, "to-text")];
  const form = (/** @type {() => RangeText} */ read, /** @type {string} */ label, /** @type {any[]} */ ...fields) =>
    h("form", { class: "row", onsubmit: (/** @type {Event} */ event) => (event.preventDefault(), accept(read())) }, ...fields, h("button", { class: "button", "aria-label": label }, "Show"));
  const zoneButton = (/** @type {string} */ label, /** @type {boolean} */ utc) =>
    h("button", { class: "button small", type: "button", "aria-pressed": String(isUtc === utc), onclick: () => (panel.hidePopover(), onZone(utc)) }, label);
  panel.replaceChildren(
    h("h3", null, "Show"), h("div", { class: "chips" }, ...presets),
    h("h3", null, `By calendar, in ${zone} (${offsetText(range.to, zone)})`),
    form(() => ({ from: from.input.value, to: to.input.value }), "Show the dates chosen", from.element, to.element),
    h("h3", null, "As typed: now-7d, today, 2026-10-01, 2026-10-01 14:30"),
    form(() => ({ from: fromText.input.value, to: toText.input.value }), "Show the times typed", fromText.element, toText.element),
    problem,
    h("h3", null, "Zone"), h("div", { class: "chips" }, zoneButton(browserZone, false), zoneButton("UTC", true)),
  );
}
