// Asks the Worker, and follows its jobs to their end: by their events, which fetch reads since an EventSource sends no
// key, else by asking. Knows the key, which lives in sessionStorage and nowhere else.

import { seriesOf } from "./series.js";

const KEY = "building-vitals.key";

/** @returns {string} "" for none. */
export const storedKey = () => sessionStorage.getItem(KEY) ?? "";

/** @param {string} key "" forgets it. */
export function storeKey(key) {
  if (key) sessionStorage.setItem(KEY, key);
  else sessionStorage.removeItem(KEY);
}

/** An answer that is a failure, as RFC 9457 describes it; status 0 where no answer came. */
export class Problem extends Error {
  /**
   * @param {number} status
   * @param {{title?: string, detail?: string, errors?: {field: string, message: string}[], requestId?: string}} document
   * @param {number | null} retryAfter Seconds.
   */
  constructor(status, document, retryAfter = null) {
    super(document.detail ?? document.title ?? `status ${status}`);
    this.status = status;
    this.title = document.title ?? `Status ${status}`;
    this.errors = document.errors ?? [];
    this.requestId = document.requestId ?? "";
    this.retryAfter = retryAfter;
  }
}

/**
 * @typedef {object} Asking
 * @property {string} [method]
 * @property {Record<string, any>} [query] Lists are repeated; null and undefined left out.
 * @property {AbortSignal} [signal]
 * @property {string} [accept]
 */

/**
 * @param {string} path
 * @param {Record<string, any>} [query]
 */
function urlOf(path, query = {}) {
  const pairs = new URLSearchParams();
  for (const [name, value] of Object.entries(query))
    for (const each of Array.isArray(value) ? value : [value]) if (each !== null && each !== undefined) pairs.append(name, String(each));
  const text = pairs.toString();
  return text ? `${path}?${text}` : path;
}

/**
 * Send a request; returns an answer that is no failure.
 * @param {string} path
 * @param {Asking} [asking]
 * @returns {Promise<Response>}
 */
export async function send(path, { method = "GET", query = {}, signal, accept = "application/json" } = {}) {
  const key = storedKey();
  /** @type {Record<string, string>} */
  const headers = key ? { Accept: accept, Authorization: `Bearer ${key}` } : { Accept: accept };
  let response;
  try {
    response = await fetch(urlOf(path, query), { method, signal, headers, cache: "no-cache" });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Problem(0, { title: "No connection", detail: "The Worker cannot be reached. Are you off-line?" });
  }
  if (response.ok) return response;
  throw await problemOf(response);
}

/** @param {Response} response */
async function problemOf(response) {
  const retryAfter = Number(response.headers.get("Retry-After")) || null;
  let document = {};
  try {
    document = await response.json();
  } catch {
    // What a proxy says is no document.
  }
  return new Problem(response.status, { requestId: response.headers.get("X-Request-Id") ?? "", ...document }, retryAfter);
}

/**
 * @param {string} path
 * @param {Asking} [asking]
 * @returns {Promise<any>}
 */
export async function ask(path, asking) {
  return (await send(path, asking)).json();
}

/**
 * Ask for samples; also says what it took.
 * @param {Record<string, any>} query
 * @param {AbortSignal} [signal]
 * @returns {Promise<{status: number, document: any, bytes: number, ms: number}>}
 */
async function askSamples(query, signal) {
  const began = performance.now();
  const response = await send("/api/timeseries", { query, signal });
  const text = await response.text();
  const entry = /** @type {PerformanceResourceTiming | undefined} */ (performance.getEntriesByName(response.url).at(-1));
  performance.clearResourceTimings();
  return {
    status: response.status,
    document: JSON.parse(text),
    bytes: entry?.encodedBodySize || text.length,
    ms: performance.now() - began,
  };
}

const STORED = "building-vitals.job";
const POLL_MS = 1500;
const ENDS = new Set(["completed", "failed", "cancelled"]);

/** @typedef {{jobId: string, status: string, progress: number, createdAt: string, startedAt: string | null, error: string | null,
 *   samplesCount: number, estimatedSize: number, completedChunks: number, totalChunks: number}} Job */
/** @typedef {{jobId: string, address: string, query: Record<string, any>}} Pending The question that became a job. */

/** @param {Pending | null} pending */
export function rememberJob(pending) {
  if (pending) sessionStorage.setItem(STORED, JSON.stringify(pending));
  else sessionStorage.removeItem(STORED);
}

/**
 * @param {string} address `location.search` of the page that waits for it.
 * @returns {Pending | null}
 */
function rememberedJob(address) {
  try {
    const found = JSON.parse(sessionStorage.getItem(STORED) ?? "null");
    return found?.address === address ? found : null;
  } catch {
    return null;
  }
}

/**
 * Split a stream of Server-Sent Events. Pure.
 * @param {string} text What has come and has not been read.
 * @returns {{events: {event: string, data: string}[], rest: string}}
 */
export function splitEvents(text) {
  const blocks = text.replaceAll("\r\n", "\n").split("\n\n");
  const rest = blocks.pop() ?? "";
  const events = blocks.map((block) => {
    const fields = block.split("\n").map((line) => /^(\w+): ?(.*)$/.exec(line));
    const of = (/** @type {string} */ name) => fields.filter((each) => each?.[1] === name).map((each) => each?.[2] ?? "").join("\n");
    return { event: of("event") || "message", data: of("data") };
  });
  return { events: events.filter((each) => each.data), rest };
}

/**
 * Follow a job; returns it as it ended.
 * @param {string} jobId
 * @param {(job: Job) => void} onProgress
 * @param {AbortSignal} signal
 * @returns {Promise<Job>}
 */
export async function follow(jobId, onProgress, signal) {
  const path = `/api/jobs/${encodeURIComponent(jobId)}`;
  for (;;) {
    const ended = await readEvents(path, onProgress, signal);
    if (ended) return ended;
    // The stream broke: ask, and then try it again.
    const job = await ask(path, { signal });
    onProgress(job);
    if (ENDS.has(job.status)) return job;
    await pause(POLL_MS, signal);
  }
}

/**
 * @param {string} path
 * @param {(job: Job) => void} onProgress
 * @param {AbortSignal} signal
 * @returns {Promise<Job | null>} Null where the stream ended before the job.
 */
async function readEvents(path, onProgress, signal) {
  try {
    const response = await send(`${path}/events`, { signal, accept: "text/event-stream" });
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    while (reader) {
      const { value, done } = await reader.read();
      if (done) return null;
      const { events, rest } = splitEvents(text + value);
      text = rest;
      for (const { data } of events) {
        const job = /** @type {Job} */ (JSON.parse(data));
        onProgress(job);
        if (ENDS.has(job.status)) return job;
      }
    }
  } catch (error) {
    if (signal.aborted || (error instanceof Problem && error.status !== 0)) throw error;
  }
  return null;
}

/**
 * @param {number} ms
 * @param {AbortSignal} signal
 * @returns {Promise<void>}
 */
function pause(ms, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => (clearTimeout(timer), reject(signal.reason)), { once: true });
  });
}

// Questions of charts: asked, waited for where the answer is a job, asked again, and turned into series.

/** @typedef {import("./series.js").Series} Series */
/** @typedef {import("./times.js").Range} Range */
/** @typedef {import("./finder.js").Point} Point */

/**
 * @typedef {object} Wish
 * @property {string} site
 * @property {string[]} points
 * @property {Range} range
 * @property {number} maxPoints
 * @property {string} address Where a reload finds the same wish.
 */

/**
 * @typedef {object} Loaded
 * @property {Range} range
 * @property {Series[]} series In the order of the points.
 * @property {any} meta `_meta` of the answer.
 * @property {number} bytes As they came.
 * @property {number} ms
 */

/** @param {Wish} wish */
const queryOf = (wish) => ({
  site: wish.site,
  point: wish.points,
  start_time: wish.range.from,
  end_time: wish.range.to,
  max_points: wish.maxPoints,
});

/**
 * Load what is wished.
 * @param {Wish} wish
 * @param {ReadonlyMap<string, Point>} catalog The site's points, as far as they are known.
 * @param {{signal: AbortSignal, onJob: (job: Job | null) => void}} hooks
 * @returns {Promise<Loaded>}
 */
export async function load(wish, catalog, { signal, onJob }) {
  const remembered = rememberedJob(wish.address);
  // What was asked before a reload is asked again as it was: the present has gone on since.
  const query = remembered ? /** @type {ReturnType<typeof queryOf>} */ (remembered.query) : queryOf(wish);
  if (remembered) await settle(remembered.jobId, onJob, signal);
  for (;;) {
    const answer = await askSamples(query, signal);
    if (answer.status !== 202) {
      rememberJob(null);
      return loadedOf(answer, query, catalog);
    }
    rememberJob({ jobId: answer.document.jobId, address: wish.address, query });
    await settle(answer.document.jobId, onJob, signal);
  }
}

/**
 * Wait for a job's end.
 * @param {string} jobId
 * @param {(job: Job | null) => void} onJob
 * @param {AbortSignal} signal
 */
async function settle(jobId, onJob, signal) {
  try {
    const job = await follow(jobId, onJob, signal);
    if (job.status === "failed") throw new Problem(502, { title: "The job failed", detail: job.error ?? "It gives no reason." });
    if (job.status === "cancelled") throw new Problem(499, { title: "Cancelled", detail: "The job was cancelled; what it had fetched is kept." });
  } catch (error) {
    if (error instanceof Problem && error.status === 404) return;
    if (error instanceof Problem) rememberJob(null);
    throw error;
  } finally {
    onJob(null);
  }
}

/**
 * @param {{document: any, bytes: number, ms: number}} answer
 * @param {ReturnType<typeof queryOf>} query
 * @param {ReadonlyMap<string, Point>} catalog
 * @returns {Loaded}
 */
function loadedOf({ document, bytes, ms }, query, catalog) {
  const range = { from: Number(query.start_time), to: Number(query.end_time) };
  const meta = document._meta ?? {};
  const series = query.point.map((/** @type {string} */ name) =>
    seriesOf(name, Object.hasOwn(document.data, name) ? document.data[name] : {}, {
      unit: catalog.get(name)?.unit ?? "",
      interval: catalog.get(name)?.interval ?? 0,
      span: range.to - range.from,
      maxPoints: meta.downsampled ? query.max_points : null,
    }),
  );
  return { range, series, meta, bytes, ms };
}

const LOOK_BACK = [1, 30, 365].map((days) => days * 86_400_000);

/**
 * Return when the newest sample of some points was, null where there is none in a year.
 * @param {string} site
 * @param {string[]} points
 * @param {number} now
 * @param {AbortSignal} signal
 */
export async function newestSample(site, points, now, signal) {
  for (const back of LOOK_BACK) {
    // Few of them: a look back must not become a job.
    const query = { site, point: points.slice(0, 2), start_time: now - back, end_time: now, max_points: 2, wait: 10 };
    const { data } = await ask("/api/timeseries", { query, signal });
    const last = Object.values(data ?? {}).map((each) => /** @type {any} */ (each).samples?.at(-1)?.[0] ?? 0);
    if (Math.max(0, ...last) > 0) return Math.max(...last);
  }
  return null;
}

/**
 * Load a site's points, all of them.
 * @param {string} site
 * @param {AbortSignal} signal
 * @returns {Promise<any[]>}
 */
export async function loadPoints(site, signal) {
  const items = [];
  for (let page = 1; ; page += 1) {
    const document = await ask(`/api/sites/${encodeURIComponent(site)}/points`, { query: { page, per_page: 5000 }, signal });
    items.push(...document.items);
    if (page >= document.pages) return items;
  }
}
