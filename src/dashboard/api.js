// Asks the Worker, and knows the key: it lives in sessionStorage and nowhere else.

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
export function urlOf(path, query = {}) {
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
 * @returns {Promise<{status: number, document: any, bytes: number, ms: number, headers: Headers}>}
 */
export async function askSamples(query, signal) {
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
    headers: response.headers,
  };
}
