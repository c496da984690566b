// Turns a question into series: asks, waits for a job where the answer is one, and asks again.

import { ask, askSamples, Problem } from "./api.js";
import { follow, rememberedJob, rememberJob } from "./jobs.js";
import { seriesOf } from "./series.js";

/** @typedef {import("./series.js").Series} Series */
/** @typedef {import("./times.js").Range} Range */
/** @typedef {import("./search.js").Point} Point */

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
export const queryOf = (wish) => ({
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
 * @param {{signal: AbortSignal, onJob: (job: import("./jobs.js").Job | null) => void}} hooks
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
 * @param {(job: import("./jobs.js").Job | null) => void} onJob
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
