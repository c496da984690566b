// The operator's view, for administrators' keys: what the Worker does, and what it has learned.

import { ask, Problem, send } from "./api.js";
import { Chart } from "./chart.js";
import { lineColor } from "./paint.js";
import { h, kindOf, reasonOf, table, toast } from "./dom.js";
import { formatNumber, seriesOf } from "./series.js";
import { action, failure } from "./states.js";
import { formatInstant, formatSpan } from "./times.js";

const POLL_MS = 10_000;
const ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
const ACTIVE = new Set(["queued", "processing", "retrying"]);

/** @typedef {{time: number, requests: number, misses: number}} Reading Counts of the last 24 hours. */

/** @type {Reading[]} */
const readings = [];
/** @type {Chart | null} */
let chart = null;
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

const number = (/** @type {number | null | undefined} */ value) => (value === null || value === undefined ? "–" : value.toLocaleString("en-US"));
const share = (/** @type {number} */ part) => `${formatNumber(part * 100)} %`;
const when = (/** @type {string | null} */ iso) => (iso ? formatInstant(Date.parse(iso), ZONE) : "–");
const tag = (/** @type {string} */ text, /** @type {string} */ kind) => h("span", { class: `tag ${kind}` }, text);
const toneOf = (/** @type {string} */ status) => (status === "completed" || status === "healthy" || status === "ok" ? "good" : status === "failed" || status === "degraded" ? "bad" : ACTIVE.has(status) ? "warn" : "");

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
  const small = (/** @type {string} */ label, /** @type {() => void} */ run) => action(label, run, "small");
  const live = liveChart(stats);
  host.replaceChildren(
    heading(),
    h("div", { class: "tiles" },
      tile("Health", health.status, Object.entries(health.checks ?? {}).filter((each) => each[1] !== "ok").map((each) => each.join(" ")).join(", ") || "all parts are ok"),
      tile("Requests in 24 h", number(requests), `${share(stats.cache.hitRate)} hits`),
      tile("Cache", `${number(stats.cache.totalSizeMB)} MB`, `${number(stats.cache.totalObjects)} objects, ${formatNumber(stats.cache.compressionRatio)}:1`),
      tile("Jobs", number(stats.jobs.active), `active; ${number(stats.jobs.failed)} of ${number(stats.jobs.total_jobs)} failed`),
      tile("Dead letters", number(dlq.total), `${number(dlq.last24h)} in 24 h`),
      tile("Upstream, this minute", quota, stats.upstream.limit ? `requests; limit ${number(stats.upstream.limit)}` : "requests; no limit"),
      tile("Last maintenance", health.maintenanceAgeSeconds === null || health.maintenanceAgeSeconds === undefined ? "never" : `${formatSpan(health.maintenanceAgeSeconds * 1000)} ago`, "")),
    live,
    section("Requests by route, 24 h", ["Route", "Share", "#Requests", "#Hits", "#Mean", "#p95"], stats.requests.map((/** @type {any} */ each) => [each.route_type, h("meter", { max: most, value: each.count }), number(each.count), share(each.count ? each.cache_hits / each.count : 0), `${number(Math.round(each.avg_duration))} ms`, `${number(Math.round(each.p95_duration))} ms`]), "No request in 24 hours."),
    section("Jobs", ["Status", "Site", "#Points", "Range", "#Progress", "Begun", "Reason", ""], jobs.map((job) => [tag(job.status, toneOf(job.status)), job.site, number(job.pointsCount), `${when(job.startTime)} – ${when(job.endTime)}`, `${job.progress} %`, when(job.startedAt ?? job.createdAt), job.error ?? "", ACTIVE.has(job.status) ? small("Cancel", () => void act(`/api/jobs/${job.jobId}`, "DELETE", "Cancelled.")) : ""]), "No jobs."),
    section("Failed chunks", ["Site", "Job", "#Chunk", "Class", "Reason", "#Attempts", "Failed", ""], failures.map((each) => [each.site, each.jobId, each.chunk, each.class, each.error, each.attempts, when(each.failedAt), small("Retry", () => void act(`/api/queue/dlq/failures/${each.jobId}/retry`, "POST", "Queued again."))]), "No chunk has run out of attempts."),
    section("What has been learned of the upstream", ["Site", "Charts by", "Jobs by", "#Points", "#Samples per day", "#Page", "#Call", "#Late by", "Seen"], upstream.sites.map((/** @type {any} */ site) => [site.site, site.chartCalls, site.siteCalls, number(site.points), number(site.samplesPerDay), site.pageMs === null ? null : `${number(site.pageMs)} ms`, site.callMs === null ? null : `${number(site.callMs)} ms`, formatSpan(site.latenessMs ?? 0), when(site.seenAt)]), "Nothing yet: ask for a chart first."),
    h("p", { class: "happened" }, `As of ${formatInstant(Date.parse(stats.timestamp), ZONE, { seconds: true, offset: true })}; read again every ${POLL_MS / 1000} s. ${upstream.url}`),
  );
  chart?.redraw();
}

/**
 * Draw what has come since the view was opened: the Worker's figures are sums of 24 hours.
 * @param {any} stats
 */
function liveChart(stats) {
  const sum = (/** @type {string} */ key) => stats.requests.reduce((/** @type {number} */ total, /** @type {any} */ each) => total + each[key], 0);
  readings.push({ time: Date.now(), requests: sum("count"), misses: sum("count") - sum("cache_hits") });
  if (readings.length > 720) readings.shift();
  chart ??= new Chart("lines", "Per minute, since this view was opened", { onRange: () => undefined, onCursor: () => undefined, onPin: () => undefined, onKey: () => undefined });
  const rate = (/** @type {"requests" | "misses"} */ key) =>
    readings.slice(1).map((reading, index) => /** @type {[number, number]} */ ([reading.time, (Math.max(0, reading[key] - readings[index][key]) * 60_000) / (reading.time - readings[index].time)]));
  const how = { unit: "/min", interval: POLL_MS, span: 1, maxPoints: null };
  const lines = (/** @type {const} */ ([["Requests", "requests"], ["Not from the cache", "misses"]])).map(([label, key], index) => ({ series: seriesOf(label, { samples: rate(key) }, how), compare: null, label, unit: "per minute", color: lineColor(index) }));
  const shown = chart;
  const range = { from: Math.min(readings[0].time, Date.now() - 10 * 60_000), to: Date.now() };
  queueMicrotask(() => shown.update({ lines, range, zone: ZONE, height: 170 }));
  return shown.element;
}
