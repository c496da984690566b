// Starts the page: listens to controls, keys and the address.

import { App } from "./app.js";
import { onTheme } from "./paint.js";
import { byId } from "./dom.js";
import { Finder } from "./finder.js";
import { showOps } from "./views.js";
import { showHelp } from "./panels.js";
import { Stack } from "./stack.js";
import { COMPARISONS } from "./times.js";

const finder = new Finder(byId("finder"), (points, dropped) => {
  app.dropped = dropped;
  void app.go({ points });
});
const app = new App(finder, (onRange) => new Stack(byId("charts"), onRange));

/** @type {Record<string, () => void>} */
const CLICKS = {
  earlier: () => app.shift(-1),
  later: () => app.shift(1),
  wider: () => app.zoom(2),
  narrower: () => app.zoom(0.5),
  back: () => app.back(),
  reload: () => void app.load({ isLive: true }),
  key: () => app.askForKey("The Worker tells callers by their key."),
  help: showHelp,
  drawer: () => openDrawer(!byId("finder").classList.contains("open")),
};
for (const [id, act] of Object.entries(CLICKS)) byId(id).addEventListener("click", act);
byId("site").addEventListener("change", () => void app.go({ site: byId("site").value, points: [], hide: [] }));
byId("cmp").addEventListener("change", () => void app.go({ cmp: byId("cmp").value }));
byId("refresh").addEventListener("change", () => void app.go({ refresh: byId("refresh").value }, { replace: true }));

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
    const width = Math.min(480, innerWidth - 16);
    byId(panel).style.top = `${box.bottom + 6}px`;
    byId(panel).style.left = `${Math.max(8, Math.min(box.left, innerWidth - width - 8))}px`;
  });

/** @type {Record<string, () => void>} */
const KEYS = {
  "/": () => (openDrawer(true), byId("search").focus()),
  "?": showHelp,
  ArrowLeft: CLICKS.earlier,
  ArrowRight: CLICKS.later,
  "+": CLICKS.narrower,
  "=": CLICKS.narrower,
  "-": CLICKS.wider,
  "−": CLICKS.wider,
  Backspace: CLICKS.back,
  r: CLICKS.reload,
  k: CLICKS.key,
  t: () => byId("time-panel").showPopover(),
  u: () => void app.go({ tz: app.zone === "UTC" ? "" : "UTC" }),
  c: () => void app.go({ cmp: COMPARISONS[(COMPARISONS.indexOf(/** @type {any} */ (app.view.cmp)) + 1) % COMPARISONS.length] }),
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
  document.body.classList.toggle("ops", isOps());
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
new ResizeObserver(([header]) => document.documentElement.style.setProperty("--header", `${header.target.clientHeight + 1}px`)).observe(document.querySelector("header") ?? document.body);
setInterval(() => app.showAge(), 30_000);
window.addEventListener("online", () => void (app.error && app.load()));
route();
