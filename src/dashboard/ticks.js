// What stands below the ticks of a time axis. Pure.

import { DAY, HOUR, MINUTE, wallClock } from "./times.js";

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const WEEKDAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

/**
 * Return a text for each tick: the time, and the date below it where it is another one than before.
 * @param {number[]} ticks Epoch milliseconds, ascending.
 * @param {number} step Milliseconds between them.
 * @param {string} zone
 * @returns {string[]}
 */
export function axisText(ticks, step, zone) {
  const two = (/** @type {number} */ number) => String(number).padStart(2, "0");
  let before = "";
  return ticks.map((tick) => {
    const { year, month, day, hour, minute, second } = wallClock(tick, zone);
    const weekday = WEEKDAYS[new Date(Date.UTC(year, month - 1, day)).getUTCDay()];
    const [upper, lower] =
      step >= 300 * DAY ? [String(year), ""]
      : step >= 27 * DAY ? [MONTHS[month - 1], String(year)]
      : step >= 20 * HOUR ? [`${day} ${MONTHS[month - 1]}`, String(year)]
      : [`${two(hour)}:${two(minute)}${step < MINUTE ? `:${two(second)}` : ""}`, `${weekday} ${day} ${MONTHS[month - 1]}`];
    const text = lower && lower !== before ? `${upper}\n${lower}` : upper;
    before = lower;
    return text;
  });
}
