// Follows a job to its end: its events, read by fetch since an EventSource sends no key, else by asking.

import { ask, Problem, send } from "./api.js";

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
export function rememberedJob(address) {
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
export function pause(ms, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => (clearTimeout(timer), reject(signal.reason)), { once: true });
  });
}
