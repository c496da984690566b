// Colours of lines and states, told apart in both themes.

const LIGHT = [
  "#1668b8", "#c2410c", "#15803d", "#9333ea", "#b91c5c", "#0e7490", "#a16207", "#4338ca", "#be123c", "#4d7c0f",
  "#0369a1", "#9a3412", "#047857", "#7e22ce", "#9d174d", "#155e75", "#854d0e", "#3730a3", "#881337", "#3f6212",
];
const DARK = [
  "#60a5fa", "#fb923c", "#4ade80", "#c084fc", "#f472b6", "#22d3ee", "#facc15", "#818cf8", "#fb7185", "#a3e635",
  "#38bdf8", "#fdba74", "#34d399", "#d8b4fe", "#f9a8d4", "#67e8f9", "#fde047", "#a5b4fc", "#fda4af", "#bef264",
];

const darkTheme = matchMedia("(prefers-color-scheme: dark)");

/** @param {() => void} listener Called when the theme changes. */
export const onTheme = (listener) => darkTheme.addEventListener("change", listener);

/** @param {number} index */
export const lineColor = (index) => (darkTheme.matches ? DARK : LIGHT)[index % LIGHT.length];

const ON = /^(true|on|active|occupied|run(ning)?|open|enabled?|auto|normal|1)$/i;
const OFF = /^(false|off|inactive|unoccupied|stop(ped)?|closed?|disabled?|0)$/i;
const ALARM = /alarm|fault|fail|trip|error|trouble/i;

/**
 * @param {string | number | boolean | null} value
 * @returns {{fill: string, ink: string}}
 */
export function stateColor(value) {
  const dark = darkTheme.matches;
  if (value === null) return { fill: dark ? "#3f3f46" : "#e4e4e7", ink: dark ? "#d4d4d8" : "#52525b" };
  const text = String(value);
  if (OFF.test(text)) return dark ? { fill: "#334155", ink: "#e2e8f0" } : { fill: "#cbd5e1", ink: "#1e293b" };
  if (ALARM.test(text)) return dark ? { fill: "#b91c1c", ink: "#ffffff" } : { fill: "#dc2626", ink: "#ffffff" };
  if (ON.test(text)) return dark ? { fill: "#15803d", ink: "#ffffff" } : { fill: "#16803c", ink: "#ffffff" };
  let hash = 0;
  for (const letter of text) hash = (hash * 31 + letter.charCodeAt(0)) >>> 0;
  const hue = [205, 275, 35, 330, 170, 245][hash % 6];
  return dark ? { fill: `hsl(${hue} 45% 34%)`, ink: "#ffffff" } : { fill: `hsl(${hue} 55% 40%)`, ink: "#ffffff" };
}

/** @param {string} name A custom property of style.css, without the dashes. */
export const themed = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
