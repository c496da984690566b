// What stands beside the cursor.

import { byId, h } from "./dom.js";
import { differenceAt, signed, textAt } from "./legend.js";
import { sampleNear } from "./series.js";
import { formatInstant } from "./times.js";

/** @typedef {import("./chart.js").Line} Line */

/**
 * Return the lines that have something at an instant, the highest first. Pure.
 * @param {Line[]} lines
 * @param {number} time
 * @returns {Line[]}
 */
export function sortedAt(lines, time) {
  const valueOf = (/** @type {Line} */ line) => line.series.values[sampleNear(line.series, time)] ?? NaN;
  return lines
    .filter((line) => textAt(line, time) !== "")
    .sort((one, other) => (valueOf(other) || -Infinity) - (valueOf(one) || -Infinity) || 0);
}

/**
 * @param {Line[]} lines
 * @param {number} time
 * @param {string} zone
 * @param {{x: number, y: number}} point Where the pointer is.
 * @param {boolean} isPinned
 */
export function showTooltip(lines, time, zone, point, isPinned) {
  const box = byId("tooltip");
  const rows = sortedAt(lines, time).map((line) => {
    const swatch = h("span", { class: "swatch" });
    swatch.style.background = line.color;
    swatch.style.display = "inline-block";
    const difference = differenceAt(line, time);
    return h("tr", null, h("td", null, swatch), h("td", { class: "name" }, line.label), h("td", { class: "num" }, h("b", null, textAt(line, time)), line.unit ? ` ${line.unit}` : ""),
      line.compare ? h("td", { class: "num muted" }, signed(difference)) : null);
  });
  box.replaceChildren(
    h("div", { class: "num" }, h("b", null, formatInstant(time, zone, { seconds: true, offset: true }))),
    rows.length ? h("table", null, h("tbody", null, ...rows)) : h("div", { class: "muted" }, "No sample near"),
  );
  box.classList.toggle("pinned", isPinned);
  box.hidden = false;
  const { width, height } = box.getBoundingClientRect();
  const x = point.x + 18 + width > innerWidth ? Math.max(4, point.x - 18 - width) : point.x + 18;
  const y = Math.min(Math.max(point.y - height / 2, 4), innerHeight - height - 4);
  box.style.left = `${x}px`;
  box.style.top = `${y}px`;
}

export const hideTooltip = () => (byId("tooltip").hidden = true);
