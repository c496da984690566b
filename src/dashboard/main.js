// Starts the page: listens to controls, keys and the address.

import { App } from "./app.js";
import { COMPARISONS } from "./address.js";
import { onTheme } from "./colors.js";
import { byId } from "./dom.js";
import { showHelp } from "./dialogs.js";
import { Finder } from "./finder.js";
import { showOps } from "./ops.js";
import { Stack } from "./stack.js";

const finder = new Finder(byId("finder"), (points, dropped) => {
  app.dropped = dropped;
  void app.go({ points });
});
const app = new App(finder, (hooks) => new Stack(byId("charts"), hooks));

byId("site").addEventListener("change", () => void app.go({ site: byId("site").value, points: [], hide: [] }));
byId("cmp").addEventListener("change", () => void app.go({ cmp: byId("cmp").value }));
byId("refresh").addEventListener("change", () => void app.go({ refresh: byId("refresh").value }, { replace: true }));
byId("earlier").addEventListener("click", () => app.shift(-1));
byId("later").addEventListener("click", () => app.shift(1));
byId("wider").addEventListener("click", () => app.zoom(2));
byId("narrower").addEventListener("click", () => app.zoom(0.5));
byId("back").addEventListener("click", () => app.back());
byId("reload").addEventListener("click", () => void app.load({ isLive: true }));
byId("key").addEventListener("click", () => app.askForKey("The Worker tells callers by their key."));
byId("help").addEventListener("click", showHelp);
byId("drawer").addEventListener("click", () => openDrawer(!byId("finder").classList.contains("open")));

/** @param {boolean} isOpen */
function openDrawer(isOpen) {
  byId("finder").classList.toggle("open", isOpen);
  byId("drawer").setAttribute("aria-expanded", String(isOpen));
}

for (const [button, panel, fill] of /** @type {const} */ ([["time", "time-panel", () => app.openTime()], ["take", "take-panel", () => app.openTake()]]))
  byId(panel).addEventListener("beforetoggle", (/** @type {ToggleEvent} */ event) => {
    if (event.newState !== "open") return;
    fill();
    const box = byId(button).getBoundingClientRect();
    const width = Math.min(440, innerWidth - 16);
    byId(panel).style.top = `${box.bottom + 6}px`;
    byId(panel).style.left = `${Math.max(8, Math.min(box.left, innerWidth - width - 8))}px`;
  });

/** @type {Record<string, () => void>} */
const KEYS = {
  "/": () => (openDrawer(true), byId("search").focus()),
  "?": showHelp,
  ArrowLeft: () => app.shift(-1),
  ArrowRight: () => app.shift(1),
  "+": () => app.zoom(0.5),
  "=": () => app.zoom(0.5),
  "-": () => app.zoom(2),
  "−": () => app.zoom(2),
  Backspace: () => app.back(),
  r: () => void app.load({ isLive: true }),
  t: () => byId("time-panel").showPopover(),
  u: () => void app.go({ tz: app.zone === "UTC" ? "" : "UTC" }),
  c: () => void app.go({ cmp: COMPARISONS[(COMPARISONS.indexOf(/** @type {any} */ (app.view.cmp)) + 1) % COMPARISONS.length] }),
  k: () => byId("key").click(),
  Escape: () => app.stack.unpin(),
};

document.addEventListener("keydown", (event) => {
  const target = /** @type {HTMLElement} */ (event.target);
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (target.closest("input, select, textarea, dialog, [popover], [role=listbox]") || isOps()) return;
  const act = KEYS[event.key];
  if (!act) return;
  event.preventDefault();
  act();
});

const isOps = () => location.hash.startsWith("#/ops");

function route() {
  byId("view").hidden = isOps();
  byId("ops").hidden = !isOps();
  byId("ops-link").setAttribute("aria-current", isOps() ? "page" : "false");
  if (isOps()) showOps(byId("ops"), { onKey: (text) => app.askForKey(text) });
  else if (!started) {
    started = true;
    void app.begin();
  } else app.render();
}

let started = false;
window.addEventListener("hashchange", route);
window.addEventListener("popstate", () => {
  if (!isOps() && started) void app.restore();
});
onTheme(() => app.render());
setInterval(() => app.showAge(), 30_000);
window.addEventListener("online", () => void (app.error && app.load()));
route();
