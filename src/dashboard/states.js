// A picture for each state that is not a chart: nothing chosen, nothing found, failures, and what is to be said of an
// answer.

import { Problem } from "./api.js";
import { h, reasonOf, svg } from "./dom.js";
import { formatInstant, formatSpan } from "./times.js";

/**
 * @param {string} kind "", "warn" or "bad".
 * @param {string} title
 * @param {(string | Node)[]} texts
 * @param {...Node} actions
 */
export function note(kind, title, texts, ...actions) {
  return h("div", { class: `card note ${kind}`, role: kind === "bad" ? "alert" : null }, h("div", null, h("h2", null, title), ...texts.map((text) => (typeof text === "string" ? h("p", null, text) : text))), ...actions);
}

/**
 * @param {string} label
 * @param {() => void} onclick
 * @param {string} [kind]
 */
export const action = (label, onclick, kind = "") => h("button", { class: `button ${kind}`, type: "button", onclick }, label);

/**
 * Nothing is chosen yet.
 * @param {string} title
 * @param {string} text
 * @param {...Node} actions
 */
export function hero(title, text, ...actions) {
  const picture = svg("svg", { viewBox: "0 0 420 110", class: "picture", "aria-hidden": "true" },
    svg("path", { d: "M8 78C40 78 48 30 84 30s44 46 78 46 44-56 82-56 48 50 84 50 40-26 84-26" }),
    svg("path", { d: "M8 100h404M8 10v90" }));
  return h("div", { class: "card hero" }, picture, h("h1", null, title), h("p", null, text), h("div", { class: "chips" }, ...actions));
}

/**
 * What to show of a failure.
 * @param {unknown} error
 * @param {{hasPicture: boolean, onRetry: () => void, onKey: () => void}} hooks
 */
export function failure(error, { hasPicture, onRetry, onKey }) {
  const retry = action("Try again", onRetry);
  if (!(error instanceof Problem)) return note("bad", "The page failed", [reasonOf(error)], retry);
  const stays = hasPicture ? "The picture is the one from before." : "";
  const request = error.requestId ? `Request ${error.requestId}` : "";
  const tail = [stays, request].filter(Boolean).join(" · ");
  const small = tail ? [h("p", { class: "muted" }, tail)] : [];
  if (error.status === 0) return note("warn", "No connection", [error.message, ...small], retry);
  if (error.status === 400 && error.errors.length) return note("bad", "The question makes no sense to the Worker", [h("ul", null, ...error.errors.map(({ field, message }) => h("li", null, h("b", null, field), `: ${message}`))), ...small]);
  if (error.status === 401) return note("warn", "An API key is needed", [error.message], action("Enter a key", onKey, "primary"));
  if (error.status === 403) return note("warn", error.title, [error.message, ...small], action("Another key", onKey));
  if (error.status === 404) return note("warn", error.title, [error.message, ...small]);
  if (error.status === 429) return note("warn", "Too many questions at once", [error.message, `${error.retryAfter ? `Asked again in ${error.retryAfter} s.` : ""} ${stays}`], retry);
  if (error.status === 499) return note("", error.title, [error.message], action("Ask again", onRetry));
  return note("bad", error.status === 504 ? "The building's system did not answer in time" : error.title, [error.message, ...small], retry);
}

/**
 * What is to be said of an answer besides its samples.
 * @param {import("./api.js").Loaded} loaded
 * @param {{zone: string, labelOf: (name: string) => string, onRemove: (names: string[]) => void, onRetry: () => void}} hooks
 * @returns {Node[]}
 */
export function remarks(loaded, { zone, labelOf, onRemove, onRetry }) {
  const notes = [];
  const unknown = loaded.series.filter((series) => series.error);
  if (unknown.length) {
    const list = h("ul", null, ...unknown.map((series) => h("li", null, h("b", null, labelOf(series.name)), `: ${series.error}`)));
    notes.push(note("warn", unknown.length === 1 ? "One point has nothing to show" : `${unknown.length} points have nothing to show`, [list], action("Remove", () => onRemove(unknown.map((series) => series.name)))));
  }
  if (loaded.meta.cache?.status === "stale") {
    const missing = (loaded.meta.cache.missing ?? []).map((/** @type {[number, number]} */ [from, to]) => `${formatInstant(from, zone)} – ${formatInstant(to, zone)}`);
    notes.push(note("warn", "The building's system fails: this is what was known before", [missing.length ? `What could not be had: ${missing.slice(0, 3).join(", ")}${missing.length > 3 ? `, and ${missing.length - 3} more ranges` : ""}.` : "Nothing of the range is missing."], action("Try again", onRetry)));
  }
  if (loaded.meta.unreadableSamples) notes.push(note("", `${loaded.meta.unreadableSamples} samples could not be read`, ["Their time or value made no sense; they are left out."]));
  return notes;
}

/**
 * The line that says how an answer came about.
 * @param {import("./api.js").Loaded} loaded
 * @returns {(string | Node)[]}
 */
export function happened({ meta, bytes, ms }) {
  const cache = meta.cache ?? {};
  const number = (/** @type {number} */ value) => (value ?? 0).toLocaleString("en-US");
  const size = bytes < 10_000 ? `${number(bytes)} bytes` : bytes < 1e6 ? `${Math.round(bytes / 1000)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
  const parts = [
    `${meta.routeType} route`,
    h("b", null, cache.status ?? ""),
    `${number(cache.samplesFromCache)} samples known, ${number(cache.samplesFetched)} fetched in ${number(cache.upstreamRequests)} requests`,
    `${number(meta.samplesCount)} drawn`,
    `${number(meta.duration)} ms in the Worker, ${Math.round(ms)} ms in all`,
    size,
    ...(meta.resolution ? [`resolution ${meta.resolution}`] : []),
    `request ${meta.requestId}`,
  ];
  return parts.flatMap((part, index) => (index ? [" · ", part] : [part]));
}

/**
 * Whether the newest sample of a live chart is late.
 * @param {number} newest
 * @param {number} interval The points' longest, 0 where not known.
 * @param {number} now
 */
export function age(newest, interval, now) {
  const ms = Math.max(now - newest, 0);
  return { text: `newest sample ${formatSpan(ms)} old`, isStale: ms > Math.max(3 * interval, 15 * 60_000) };
}
