// The dialogs: the API key, and the shortcuts.

import { ask, storedKey, storeKey } from "./api.js";
import { byId, h } from "./dom.js";

/**
 * Ask for the key.
 * @param {string} text Why.
 * @param {() => void} onKey Called once a key is kept, or forgotten.
 */
export function askForKey(text, onKey) {
  const dialog = byId("key-dialog");
  if (dialog.open) return;
  const input = h("input", { id: "key-input", type: "password", autocomplete: "off", placeholder: "bv_…", value: "" });
  const problem = h("p", { class: "error", role: "alert", hidden: true });
  const keep = (/** @type {string} */ key) => {
    storeKey(key);
    dialog.close();
    onKey();
  };
  const form = h(
    "form",
    {
      onsubmit: async (/** @type {Event} */ event) => {
        event.preventDefault();
        const [old, key] = [storedKey(), input.value.trim()];
        if (!key) return;
        storeKey(key);
        try {
          await ask("/api/me");
          keep(key);
        } catch (error) {
          storeKey(old);
          problem.textContent = error instanceof Error ? error.message : String(error);
          problem.hidden = false;
        }
      },
    },
    h("h2", { id: "key-title" }, "API key"),
    h("p", { class: "muted" }, `${text} It stays in this tab, is sent to this address alone, and is gone when the tab is closed.`),
    h("label", { class: "row" }, h("span", { class: "sr" }, "API key"), input),
    problem,
    h("div", { class: "chips" }, h("button", { class: "button primary" }, "Use this key"), h("button", { class: "button", type: "button", onclick: () => dialog.close() }, "Close"),
      storedKey() ? h("button", { class: "button", type: "button", onclick: () => keep("") }, "Forget the key") : null),
  );
  dialog.replaceChildren(form);
  dialog.showModal();
  input.focus();
}

const SHORTCUTS = [
  ["/", "find points"], ["← →", "earlier, later by a span"], ["+ −", "half the span, twice the span"], ["Backspace", "the view before"],
  ["r", "load again"], ["t", "choose the time"], ["u", "UTC or the browser's zone"], ["c", "next comparison"], ["k", "API key"], ["?", "this list"],
  ["Tab, then ← →", "in a chart: move the cursor (Shift: ten samples; Home, End)"], ["Enter, Esc", "in a chart: keep the values shown, let them go"],
  ["drag", "zoom to what is marked"], ["Shift+drag", "move in time"], ["wheel", "zoom, in a chart that was clicked, or with Ctrl"], ["click, Ctrl+click", "in the table: one series alone; on or off"],
];

export function showHelp() {
  const dialog = byId("help-dialog");
  if (dialog.open) return;
  const rows = SHORTCUTS.map(([keys, text]) => h("tr", null, h("td", null, ...keys.split(" ").flatMap((key, index) => [index ? " " : "", /^(then|or)$/.test(key) ? key : h("kbd", null, key)])), h("td", null, text)));
  dialog.replaceChildren(h("form", { method: "dialog" }, h("h2", { id: "help-title" }, "Shortcuts"), h("table", null, h("tbody", null, ...rows)), h("div", { class: "chips" }, h("button", { class: "button primary" }, "Close"))));
  dialog.showModal();
}
