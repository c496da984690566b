// The operator's view (administrators' keys).

import { byId } from "./dom.js";

/**
 * @param {HTMLElement} host
 * @param {{onKey: (text: string) => void}} hooks
 */
export function showOps(host, hooks) {
  void byId;
  void hooks;
  host.replaceChildren();
}
