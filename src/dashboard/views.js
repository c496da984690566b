// What the page says beside its charts: a picture for each state that is none, what is to be said of an answer, and the
// operator's view, for administrators' keys: what the Worker does, and what it has learned.

import { ask, Problem, send } from "./api.js";
import { action, h, kindOf, reasonOf, svg, table, toast } from "./dom.js";
import { lineColor } from "./paint.js";
import { formatNumber, seriesOf } from "./series.js";
import { Stack } from "./stack.js";
import { DAY, formatInstant, formatSpan, HOUR } from "./times.js";

const POLL_MS = 10_000;
const ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
const number = (/** @type {number | null | undefined} */ value) => (value === null || value === undefined ? "–" : value.toLocaleString("en-US"));
const ACTIVE = new Set(["queued", "processing", "retrying"]);

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
  const size = bytes < 10_000 ? `${number(bytes)} bytes` : bytes < 1e6 ? `${Math.round(bytes / 1000)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
  const parts = [
    `${meta.routeType} route`,
    h("b", null, cache.status ?? ""),
    `${number(cache.samplesFromCache ?? 0)} samples known, ${number(cache.samplesFetched ?? 0)} fetched in ${number(cache.upstreamRequests ?? 0)} requests`,
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

// The operator's view.

/** @typedef {{start: string, requests: number, hitRate: number | null, routes: any[]}} Hour */

/** @type {Stack | null} */
let stack = null;
let timer = 0;

/**
 * Show the view, and read it again every ten seconds.
 * @param {HTMLElement} host
 * @param {{onKey: (text: string) => void}} hooks
 */
export async function showOps(host, hooks) {
  clearTimeout(timer);
  if (host.hidden) return;
  try {
    const [health, stats, upstream, jobs, dlq, failures] = await Promise.all(
      ["/api/health", "/api/stats", "/api/upstream", "/api/jobs?limit=50", "/api/queue/dlq/stats", "/api/queue/dlq/failures?limit=50"].map((path) =>
        // A Worker in need says so with a document and the status 503.
        path === "/api/health" ? fetch(path).then((response) => response.json()) : ask(path),
      ),
    );
    render(host, { health, stats, upstream, jobs: jobs.jobs, dlq: dlq.dlq, failures: failures.failures }, () => void showOps(host, hooks));
  } catch (error) {
    const onKey = () => hooks.onKey("The operator's view needs an administrator's key.");
    if (error instanceof Problem && error.status === 401) onKey();
    host.replaceChildren(heading(), failure(error, { hasPicture: false, onRetry: () => void showOps(host, hooks), onKey }));
  }
  timer = window.setTimeout(() => void (document.hidden ? (timer = window.setTimeout(() => void showOps(host, hooks), POLL_MS)) : showOps(host, hooks)), POLL_MS);
}

const heading = () => h("div", { class: "found" }, h("h1", null, "Operator's view"), h("a", { class: "button", href: "#" }, "Back to the charts"));

/** @param {string} name @param {string} value @param {string} [more] */
const tile = (name, value, more = "") => h("div", { class: "card tile" }, h("span", null, name), h("b", null, value), h("span", null, more));

/**
 * @param {string} title
 * @param {string[]} heads As `table` has them.
 * @param {(string | number | Node | null)[][]} rows
 * @param {string} none
 */
function section(title, heads, rows, none) {
  const cell = (/** @type {string | number | Node | null} */ value, /** @type {number} */ index) =>
    h("td", { class: kindOf(heads[index]) }, value === null ? "–" : value instanceof Node ? value : String(value));
  return h("section", null, h("h2", null, title),
    rows.length === 0 ? h("p", { class: "muted" }, none) : table(title, heads, rows.map((row) => h("tr", null, ...row.map(cell)))));
}

const share = (/** @type {number} */ part) => `${formatNumber(part * 100)} %`;
const when = (/** @type {string | null} */ iso) => (iso ? formatInstant(Date.parse(iso), ZONE) : "–");
const tag = (/** @type {string} */ text, /** @type {string} */ kind) => h("span", { class: `tag ${kind}` }, text);
/** @type {Record<string, string>} */
const TONES = { completed: "good", healthy: "good", ok: "good", following: "good", failed: "bad", degraded: "bad", failing: "bad", behind: "warn", backfilling: "warn" };
const toneOf = (/** @type {string} */ status) => TONES[status] ?? (ACTIVE.has(status) ? "warn" : "");

/**
 * @param {HTMLElement} host
 * @param {{health: any, stats: any, upstream: any, jobs: any[], dlq: any, failures: any[]}} found
 * @param {() => void} again
 */
function render(host, { health, stats, upstream, jobs, dlq, failures }, again) {
  const requests = stats.requests.reduce((/** @type {number} */ sum, /** @type {any} */ each) => sum + each.count, 0);
  const most = Math.max(1, ...stats.requests.map((/** @type {any} */ each) => each.count));
  const quota = stats.upstream.limit ? `${number(stats.upstream.used)} of ${number(stats.upstream.current)}` : number(stats.upstream.used);
  const act = async (/** @type {string} */ path, /** @type {string} */ method, /** @type {string} */ done) => {
    try {
      await send(path, { method });
      toast(done);
    } catch (error) {
      toast(reasonOf(error));
    }
    again();
  };
  stack ??= new Stack(h("div", { class: "hours" }), () => undefined);
  host.replaceChildren(
    heading(),
    h("div", { class: "tiles" },
      tile("Health", health.status, Object.entries(health.checks ?? {}).filter((each) => each[1] !== "ok").map((each) => each.join(" ")).join(", ") || "all parts are ok"),
      tile("Requests in 24 h", number(requests), `${share(stats.cache.hitRate)} hits`),
      tile("Cache", `${number(stats.cache.totalSizeMB)} MB`, `${number(stats.cache.totalObjects)} objects, ${formatNumber(stats.cache.compressionRatio)}:1`),
      tile("Jobs", number(stats.jobs.active), `active; ${number(stats.jobs.failed)} of ${number(stats.jobs.total_jobs)} failed`),
      tile("Dead letters", number(dlq.total), `${number(dlq.last24h)} in 24 h`),
      tile("Upstream, this minute", quota, stats.upstream.limit ? `requests; limit ${number(stats.upstream.limit)}` : "requests; no limit"),
      tile("Last maintenance", typeof health.maintenanceAgeSeconds === "number" ? `${formatSpan(health.maintenanceAgeSeconds * 1000)} ago` : "never")),
    stack.host,
    section("Requests by route, 24 h", ["Route", "Share", "#Requests", "#Hits", "#Mean", "#p95"], stats.requests.map((/** @type {any} */ each) => [each.route_type, h("meter", { max: most, value: each.count }), number(each.count), share(each.count ? each.cache_hits / each.count : 0), `${number(Math.round(each.avg_duration))} ms`, `${number(Math.round(each.p95_duration))} ms`]), "No request in 24 hours."),
    section("Jobs", ["Status", "Site", "#Points", "Range", "#Progress", "Begun", "Reason", ""], jobs.map((job) => [tag(job.status, toneOf(job.status)), job.site, number(job.pointsCount), `${when(job.startTime)} – ${when(job.endTime)}`, `${job.progress} %`, when(job.startedAt ?? job.createdAt), job.error ?? "", ACTIVE.has(job.status) ? action("Cancel", () => void act(`/api/jobs/${job.jobId}`, "DELETE", "Cancelled."), "small") : ""]), "No jobs."),
    section("Failed chunks", ["Site", "Job", "#Chunk", "Class", "Reason", "#Attempts", "Failed", ""], failures.map((each) => [each.site, each.jobId, each.chunk, each.class, each.error, each.attempts, when(each.failedAt), action("Retry", () => void act(`/api/queue/dlq/failures/${each.jobId}/retry`, "POST", "Queued again."), "small")]), "No chunk has run out of attempts."),
    section("Followed sites", ["Site", "State", "#Last round", "#Backfill", "Left", "#Pages a day", "#Samples a day", "Newest sample", "Reason"], stats.follows.map((/** @type {any} */ each) => [each.site, tag(each.state, toneOf(each.state)), `${formatSpan(each.lagSeconds * 1000)} ago`, `${each.backfill.progress} %`, each.backfill.etaSeconds ? formatSpan(each.backfill.etaSeconds * 1000) : "", number(each.pagesPerDay), number(each.samplesPerDay), when(each.newestSample), each.error]), "None."),
    section("What has been learned of the upstream", ["Site", "Charts by", "Jobs by", "#Points", "#Samples per day", "#Page", "#Call", "#Late by", "Seen"], upstream.sites.map((/** @type {any} */ site) => [site.site, site.chartCalls, site.siteCalls, number(site.points), number(site.samplesPerDay), site.pageMs === null ? null : `${number(site.pageMs)} ms`, site.callMs === null ? null : `${number(site.callMs)} ms`, formatSpan(site.latenessMs ?? 0), when(site.seenAt)]), "Nothing yet: ask for a chart first."),
    h("p", { class: "happened" }, `As of ${formatInstant(Date.parse(stats.timestamp), ZONE, { seconds: true, offset: true })}; read again every ${POLL_MS / 1000} s. ${upstream.url}`),
  );
  const now = Date.parse(stats.timestamp);
  stack.show(hourLines(stats.hours, now), { from: now - DAY, to: now }, ZONE, 170);
}

/**
 * Return what is drawn of hours: requests of each route, hits, and the time in which 95 of 100 requests were answered.
 * Each hour is as wide as it is long; the last ends now. Pure, but for colours.
 * @param {Hour[]} hours
 * @param {number} now
 * @returns {import("./chart.js").Line[]}
 */
export function hourLines(hours, now) {
  const line = (/** @type {string} */ label, /** @type {string} */ unit, /** @type {number} */ index, /** @type {(hour: Hour) => number | null | undefined} */ of) => {
    const samples = hours.flatMap((hour) => {
      const [start, value] = [Date.parse(hour.start), of(hour)];
      return value === null || value === undefined ? [] : [[start, value], [Math.min(start + HOUR - 1, now), value]];
    });
    // An hour's ends are joined, and those of an hour and the next; over an hour without a value goes no line.
    const series = seriesOf(`${label} ${unit}`, { samples: /** @type {[number, number][]} */ (samples) }, { unit, interval: HOUR / 3, span: DAY, maxPoints: null });
    return { series, compare: null, label, unit, color: lineColor(index) };
  };
  const routes = [...new Set(hours.flatMap((hour) => hour.routes.map((each) => each.routeType)))].sort();
  const of = (/** @type {Hour} */ hour, /** @type {string} */ route) => hour.routes.find((each) => each.routeType === route);
  return [
    ...routes.map((route, index) => line(route, "requests/h", index, (hour) => of(hour, route)?.requests ?? 0)),
    line("all routes that use the cache", "% hits", 3, ({ hitRate }) => hitRate && hitRate * 100),
    ...routes.map((route, index) => line(route, "ms, p95", index, (hour) => of(hour, route)?.p95Duration)),
  ];
}
