// Wheel, pinch, pan, hover and tap on a chart.

import { zoomed } from "./times.js";

const WHEEL_REST_MS = 250;
const TAP_PX = 6;

/** @typedef {import("./chart.js").Chart} Chart */

/**
 * @param {Chart} chart
 * @param {HTMLElement} over The plot's area.
 */
export function gestures(chart, over) {
  const { hooks } = chart;
  let timer = 0;
  /** @type {Map<number, {x: number, y: number}>} */
  const fingers = new Map();
  /** @type {{from: number, to: number, x: number, spread: number, moved: boolean} | null} */
  let grip = null;

  const timeAt = (/** @type {number} */ x, range = chart.range) => {
    const box = over.getBoundingClientRect();
    return range.from + ((x - box.left) / box.width) * (range.to - range.from);
  };
  const settle = () => {
    clearTimeout(timer);
    timer = window.setTimeout(() => hooks.onRange(chart.range, true), WHEEL_REST_MS);
  };

  over.addEventListener(
    "wheel",
    (event) => {
      // A page is scrolled with the wheel, too: only a chart that has been chosen, or Ctrl, takes it.
      if (!event.ctrlKey && !event.altKey && !chart.canvasHost.contains(document.activeElement)) return;
      event.preventDefault();
      const factor = Math.exp(Math.max(-60, Math.min(60, event.deltaY || event.deltaX)) / 200);
      hooks.onRange(zoomed(chart.range, factor, Date.now(), timeAt(event.clientX)), false);
      settle();
    },
    { passive: false },
  );

  over.addEventListener("pointerdown", (event) => {
    if (event.pointerType === "mouse" && !(event.button === 0 && event.shiftKey)) return;
    fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    over.setPointerCapture(event.pointerId);
    const xs = [...fingers.values()].map((finger) => finger.x);
    grip = { ...chart.range, x: mean(xs), spread: spreadOf(xs), moved: grip !== null };
  });

  over.addEventListener("pointermove", (event) => {
    if (fingers.has(event.pointerId) && grip) {
      fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
      const xs = [...fingers.values()].map((finger) => finger.x);
      if (!grip.moved && Math.abs(mean(xs) - grip.x) < TAP_PX && xs.length < 2) return;
      grip.moved = true;
      const range = { from: grip.from, to: grip.to };
      const wide = xs.length > 1 ? zoomed(range, grip.spread / Math.max(spreadOf(xs), 20), Date.now(), timeAt(grip.x, range)) : range;
      const by = ((mean(xs) - grip.x) / over.clientWidth) * (wide.to - wide.from);
      hooks.onRange({ from: Math.round(wide.from - by), to: Math.round(wide.to - by) }, false);
      return;
    }
    if (event.pointerType === "mouse") hooks.onCursor(timeAt(event.clientX), chart, { x: event.clientX, y: event.clientY });
  });

  const leave = (/** @type {PointerEvent} */ event) => {
    if (!fingers.delete(event.pointerId) || !grip) return;
    if (!grip.moved && event.type === "pointerup") {
      hooks.onCursor(timeAt(event.clientX), chart, { x: event.clientX, y: event.clientY });
      hooks.onPin(chart);
    } else if (fingers.size === 0) settle();
    if (fingers.size === 0) grip = null;
    else {
      const xs = [...fingers.values()].map((finger) => finger.x);
      grip = { ...chart.range, x: mean(xs), spread: spreadOf(xs), moved: true };
    }
  };
  over.addEventListener("pointerup", leave);
  over.addEventListener("pointercancel", leave);
  over.addEventListener("pointerleave", (event) => {
    if (event.pointerType === "mouse" && !fingers.size) hooks.onCursor(null, null, null);
  });

  let downAt = 0;
  over.addEventListener("mousedown", (event) => (downAt = event.clientX));
  over.addEventListener("click", (event) => {
    if (event.shiftKey || Math.abs(event.clientX - downAt) > TAP_PX) return;
    chart.canvasHost.focus({ preventScroll: true });
    hooks.onPin(chart);
  });
}

/** @param {number[]} numbers */
const mean = (numbers) => numbers.reduce((sum, each) => sum + each, 0) / numbers.length;

/** @param {number[]} numbers */
const spreadOf = (numbers) => Math.max(Math.max(...numbers) - Math.min(...numbers), 20);
