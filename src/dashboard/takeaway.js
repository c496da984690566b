// The panel from which samples, pictures and links are taken away.

import { send, storedKey } from "./api.js";
import { curlCommand, fileName, pythonCode } from "./commands.js";
import { themed } from "./colors.js";
import { h, saveFile, toast } from "./dom.js";
import { follow } from "./jobs.js";

/** @typedef {{site: string, points: string[], from: number, to: number}} Shown */

const FILES = [
  { label: "CSV, long", ending: "csv", query: { format: "csv" }, accept: "text/csv" },
  { label: "CSV, wide", ending: "csv", query: { format: "csv", layout: "wide" }, accept: "text/csv" },
  { label: "NDJSON", ending: "ndjson", query: { format: "ndjson" }, accept: "application/x-ndjson" },
  { label: "JSON", ending: "json", query: { format: "json" }, accept: "application/json" },
];

/**
 * @param {HTMLElement} panel
 * @param {Shown} shown
 * @param {{png: () => Promise<Blob>}} hooks
 */
export function fillTakePanel(panel, shown, { png }) {
  const problem = h("p", { class: "error", role: "alert", hidden: true });
  const asked = { ...shown, origin: location.origin, keyed: storedKey() !== "" };
  const act = (/** @type {string} */ label, /** @type {() => Promise<string>} */ run) =>
    h("button", {
      class: "button small", type: "button", disabled: shown.points.length === 0,
      onclick: async () => {
        problem.hidden = true;
        try {
          const text = await run();
          panel.hidePopover();
          toast(text);
        } catch (error) {
          problem.textContent = error instanceof Error ? error.message : String(error);
          problem.hidden = false;
        }
      },
    }, label);
  const copy = (/** @type {string} */ label, /** @type {() => string} */ text) =>
    act(label, async () => (await navigator.clipboard.writeText(text()), `${label}: copied.`));
  panel.replaceChildren(
    h("h3", null, "All samples of the range, none left out"),
    h("div", { class: "chips" }, ...FILES.map((file) => act(file.label, () => download(shown, file, (text) => toast(text))))),
    h("h3", null, "What is drawn"),
    h("div", { class: "chips" }, act("PNG picture", async () => (saveFile(await png(), fileName(shown.site, shown.from, shown.to, "png")), "The picture is saved."))),
    h("h3", null, "Copy"),
    h("div", { class: "chips" }, copy("Copy link", () => location.href), copy("Copy curl", () => curlCommand(asked)), copy("Copy Python", () => pythonCode(asked))),
    problem,
    shown.points.length === 0 ? h("p", { class: "muted" }, "Choose points first.") : null,
  );
}

/**
 * @param {Shown} shown
 * @param {(typeof FILES)[number]} file
 * @param {(text: string) => void} tell
 * @returns {Promise<string>}
 */
async function download(shown, file, tell) {
  const query = { site: shown.site, point: shown.points, start_time: shown.from, end_time: shown.to, ...file.query };
  let response = await send("/api/timeseries", { query, accept: file.accept });
  if (response.status === 202) {
    tell("A long question: the file comes when its job has ended.");
    const { jobId } = await response.json();
    const job = await follow(jobId, (each) => tell(`Preparing the file: ${each.progress} %`), new AbortController().signal);
    if (job.status !== "completed") throw new Error(`The job has ${job.status}: ${job.error ?? ""}`);
    response = await send(`/api/jobs/${encodeURIComponent(jobId)}/data`, { query: file.query, accept: file.accept });
  }
  saveFile(await response.blob(), fileName(shown.site, shown.from, shown.to, file.ending));
  return "The file is saved.";
}

/**
 * Put the charts' canvases below one another, with headings and legend.
 * @param {{heading: string, canvas: HTMLCanvasElement, labels: {text: string, color: string}[]}[]} charts
 * @param {string} title
 * @returns {Promise<Blob>}
 */
export function pictureOf(charts, title) {
  const ratio = devicePixelRatio;
  const width = Math.max(...charts.map((chart) => chart.canvas.width));
  const heads = charts.map((chart) => (26 + chart.labels.length * 17) * ratio);
  const height = charts.reduce((sum, chart, index) => sum + heads[index] + chart.canvas.height, 44 * ratio);
  const canvas = h("canvas", { width: width + 24 * ratio, height });
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const write = (/** @type {string} */ text, /** @type {string} */ font, /** @type {string} */ color, /** @type {number} */ x, /** @type {number} */ y) => {
    context.font = font;
    context.fillStyle = color;
    context.fillText(text, x, y);
  };
  context.fillStyle = themed("card");
  context.fillRect(0, 0, canvas.width, canvas.height);
  write(title, `600 ${15 * ratio}px ${themed("font")}`, themed("ink"), 14 * ratio, 26 * ratio);
  let top = 44 * ratio;
  charts.forEach((chart, index) => {
    write(chart.heading, `600 ${13 * ratio}px ${themed("font")}`, themed("ink"), 14 * ratio, top + 14 * ratio);
    chart.labels.forEach(({ text, color }, row) => {
      const y = top + (30 + row * 17) * ratio;
      context.fillStyle = color;
      context.fillRect(14 * ratio, y - 8 * ratio, 9 * ratio, 9 * ratio);
      write(text, `${12 * ratio}px ${themed("font")}`, themed("ink"), 30 * ratio, y);
    });
    context.drawImage(chart.canvas, 12 * ratio, top + heads[index]);
    top += heads[index] + chart.canvas.height;
  });
  return new Promise((resolve, reject) => canvas.toBlob((/** @type {Blob | null} */ blob) => (blob ? resolve(blob) : reject(new Error("The picture is too large for this browser."))), "image/png"));
}
