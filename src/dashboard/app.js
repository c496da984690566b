// What the page shows and does: one view, as the address says it, and the samples that were loaded for it.

import { ask, load, loadPoints, newestSample, Problem, rememberJob, send } from "./api.js";
import { lineColor } from "./paint.js";
import { action, byId, h, reasonOf, toast } from "./dom.js";
import { fillLegend } from "./stack.js";
import { pointOf, shortNames } from "./finder.js";
import { moved } from "./series.js";
import { age, failure, happened, hero, note, remarks } from "./views.js";
import { askForKey, fillTakePanel, fillTimePanel, pictureOf, rangeName } from "./panels.js";
import { aligned, DAY, emptyView, formatElapsed, formatInstant, parseRange, POINTS_MAX, readAddress, REFRESHES, shifted, SPAN_MIN, writeAddress, YEAR, zoomed } from "./times.js";

/** @typedef {import("./times.js").View} View */
/** @typedef {import("./times.js").Range} Range */
/** @typedef {import("./api.js").Loaded} Loaded */
/** @typedef {import("./finder.js").Point} Point */

const BUCKETS = 4;
const COMPARED = /** @type {Record<string, [string, number]>} */ ({ "1d": ["day before", DAY], "7d": ["week before", 7 * DAY], "1y": ["year before", YEAR] });
const BROWSER_ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";

export class App {
  /**
   * @param {import("./finder.js").Finder} finder
   * @param {(onRange: (range: Range, isFinal: boolean) => void) => import("./stack.js").Stack} makeStack
   */
  constructor(finder, makeStack) {
    this.finder = finder;
    this.stack = makeStack((range, isFinal) => this.setRange(range, isFinal));
    /** @type {View} */
    this.view = emptyView();
    /** @type {any[]} */
    this.sites = [];
    /** @type {Map<string, Point>} */
    this.catalog = new Map();
    this.catalogSite = "";
    /** @type {Range} */
    this.range = { from: Date.now() - DAY, to: Date.now() };
    /** @type {Loaded | null} */
    this.loaded = null;
    /** @type {Loaded | null} */
    this.other = null;
    /** @type {unknown} */
    this.error = null;
    /** @type {number | null | undefined} */
    this.newest = undefined;
    this.controller = new AbortController();
    this.timer = 0;
    this.dropped = 0;
    this.depth = 0;
  }

  get zone() {
    return this.view.tz || BROWSER_ZONE;
  }

  /** Read the address, and show what it says. */
  async begin() {
    this.view = readAddress(location.search);
    this.depth = history.state?.depth ?? 0;
    this.resolve();
    this.render();
    await this.loadSites();
    await this.loadSite();
    await this.load();
  }

  /** The browser's Back and Forward. */
  async restore() {
    const before = this.view;
    this.view = readAddress(location.search);
    this.depth = history.state?.depth ?? 0;
    this.resolve();
    if (this.view.site !== before.site) {
      this.loaded = this.other = null;
      await this.loadSite();
    }
    await this.load();
  }

  /**
   * Change the view: the address says so, and what has to be loaded is.
   * @param {Partial<View>} changes
   * @param {{replace?: boolean}} [how]
   */
  async go(changes, { replace = false } = {}) {
    const before = this.view;
    this.view = { ...before, ...changes };
    this.view.hide = this.view.hide.filter((name) => this.view.points.includes(name));
    const address = `${location.pathname}${writeAddress(this.view)}`;
    if (address !== location.pathname + location.search) {
      if (!replace) this.depth += 1;
      history[replace ? "replaceState" : "pushState"]({ depth: this.depth }, "", address);
    }
    const isOther = (/** @type {(keyof View)[]} */ ...keys) => keys.some((key) => String(before[key]) !== String(this.view[key]));
    if (isOther("from", "to", "tz")) this.resolve();
    if (isOther("site")) {
      this.loaded = this.other = null;
      await this.loadSite();
    }
    if (isOther("site", "points", "from", "to", "cmp")) await this.load();
    else this.render();
    if (isOther("refresh")) this.schedule();
  }

  /** Read the range of the view; one that cannot be read gives way to the last day. */
  resolve() {
    const now = Date.now();
    const { range, problem } = parseRange(this.view, now, this.zone);
    if (problem !== null) {
      toast(problem);
      Object.assign(this.view, { from: emptyView().from, to: "now" });
    }
    this.range = range ?? { from: now - DAY, to: now };
  }

  /**
   * @param {Range} range
   * @param {boolean} isFinal
   */
  setRange(range, isFinal) {
    const now = Date.now();
    const over = Math.max(0, range.from - (now - SPAN_MIN));
    this.range = { from: Math.round(range.from - over), to: Math.round(Math.max(range.to - over, range.from - over + SPAN_MIN)) };
    this.stack.setRange(this.range);
    this.showTime();
    const text = (/** @type {number} */ ms) => new Date(ms).toISOString().replace(/\.000Z$/, "Z");
    if (isFinal) void this.go({ from: text(this.range.from), to: text(this.range.to) });
  }

  /** @param {number} spans */
  shift(spans) {
    this.setRange(shifted(this.range, spans, Date.now()), true);
  }

  /** @param {number} factor */
  zoom(factor) {
    this.setRange(zoomed(this.range, factor, Date.now()), true);
  }

  back() {
    if (this.depth > 0) history.back();
    else toast("This is where you began.");
  }

  async loadSites() {
    try {
      this.sites = (await ask("/api/sites", {})).items;
    } catch (error) {
      this.fail(error);
    }
    this.showSites();
  }

  async loadSite() {
    const { site } = this.view;
    this.catalog = new Map();
    this.catalogSite = "";
    this.finder.setPoints(site, [], site ? "Loading the points…" : "");
    if (!site) return this.render();
    try {
      const items = await loadPoints(site, new AbortController().signal);
      if (site !== this.view.site) return;
      this.catalog = new Map(items.map(pointOf).map((point) => [point.name, point]));
      this.catalogSite = site;
      this.spread();
      this.finder.setPoints(site, [...this.catalog.values()]);
    } catch (error) {
      this.finder.setPoints(site, [], "The list of points cannot be had");
      this.fail(error);
    }
  }

  /** Names in an address may be joined by commas; ones that hold commas themselves stay. */
  spread() {
    const split = (/** @type {string} */ name) => (this.catalog.has(name) || !name.split(",").every((part) => this.catalog.has(part)) ? [name] : name.split(","));
    this.view.points = [...new Set(this.view.points.flatMap(split))].slice(0, POINTS_MAX);
  }

  /**
   * Ask for what the view shows. The old picture stays until the new one is there.
   * @param {{isLive?: boolean}} [how]
   */
  async load({ isLive = false } = {}) {
    this.controller.abort();
    const controller = (this.controller = new AbortController());
    clearTimeout(this.timer);
    if (isLive) this.resolve();
    this.error = null;
    this.newest = undefined;
    if (!this.view.site || this.view.points.length === 0) {
      this.loaded = this.other = null;
      document.body.classList.remove("loading");
      this.showJob(null);
      return this.render();
    }
    // What an older question still hears of its job is not shown.
    const onJob = (/** @type {import("./api.js").Job | null} */ job) => void (controller === this.controller && this.showJob(job));
    onJob(null);
    document.body.classList.add("loading");
    this.render();
    try {
      const now = Date.now();
      const maxPoints = Math.max(400, Math.round(this.stack.plotWidth * 2));
      const range = aligned(this.range, now, maxPoints / BUCKETS);
      const wish = { site: this.view.site, points: this.view.points, range, maxPoints, address: location.search };
      const loaded = await load(wish, this.catalog, { signal: controller.signal, onJob });
      const by = this.comparedBy();
      // The charts are there before the comparison is.
      if (by) Object.assign(this, { loaded, other: null }), this.render();
      const old = { ...wish, range: { from: range.from - by, to: range.to - by }, address: `${location.search}#cmp` };
      const other = by ? await load(old, this.catalog, { signal: controller.signal, onJob }) : null;
      Object.assign(this, { loaded, other });
      if (loaded.series.every((series) => series.times.length === 0 && !series.error)) this.newest = await newestSample(this.view.site, this.view.points, now, controller.signal);
    } catch (error) {
      if (controller.signal.aborted) return;
      this.fail(error);
    }
    if (controller.signal.aborted) return;
    document.body.classList.remove("loading");
    this.render();
    this.schedule();
  }

  /** @param {unknown} error */
  fail(error) {
    this.error = error;
    if (error instanceof Problem && error.status === 401) this.askForKey(error.message);
    this.render();
  }

  /** @param {string} text */
  askForKey(text) {
    askForKey(text, () => void this.begin());
  }

  /** Ask again when it is time: live charts, and what was refused for now. */
  schedule() {
    clearTimeout(this.timer);
    const live = REFRESHES[/** @type {keyof typeof REFRESHES} */ (this.view.refresh)];
    const refused = this.error instanceof Problem && this.error.status === 429 ? (this.error.retryAfter ?? 10) * 1000 : 0;
    if (!live && !refused) return;
    this.timer = window.setTimeout(() => {
      if (document.hidden) document.addEventListener("visibilitychange", () => void this.load({ isLive: true }), { once: true });
      else void this.load({ isLive: true });
    }, refused || live);
  }

  /** @returns {number} How far back the comparison lies; 0 for none. */
  comparedBy() {
    if (this.view.cmp === "prev") return this.range.to - this.range.from;
    return COMPARED[this.view.cmp]?.[1] ?? 0;
  }

  /** @returns {import("./chart.js").Line[]} */
  lines() {
    const by = this.comparedBy();
    const names = shortNames(this.view.points, this.view.site);
    const series = this.loaded?.series ?? [];
    return this.view.points.flatMap((name, index) => {
      const own = series.find((each) => each.name === name);
      const old = by ? this.other?.series.find((each) => each.name === name) : undefined;
      return own ? [{ series: own, compare: old ? moved(old, by) : null, label: names[index], unit: this.catalog.get(name)?.unit ?? "", color: lineColor(index) }] : [];
    });
  }

  /** Show everything as it is now. */
  render() {
    const { view } = this;
    document.title = view.site ? `${this.siteName()} · Building Vitals` : "Building Vitals";
    this.showSites();
    this.showTime();
    byId("cmp").value = view.cmp;
    byId("refresh").value = view.refresh;
    byId("drawer-text").textContent = view.points.length ? `Points (${view.points.length})` : "Points";
    this.finder.setChosen(view.points);
    const lines = this.lines();
    this.stack.show(lines.filter((line) => !view.hide.includes(line.series.name)), this.range, this.zone);
    const compared = view.cmp === "prev" ? "period before" : (COMPARED[view.cmp]?.[0] ?? "");
    fillLegend(byId("legend"), { lines, hidden: view.hide, range: this.range, zone: this.zone, compared, thinned: lines.some((line) => line.series.thinned) }, {
      onToggle: (name, alone) => this.toggle(name, alone),
      onHover: (name) => this.stack.emphasise(name),
    });
    byId("state").replaceChildren(...this.states());
    const line = byId("happened");
    line.hidden = !this.loaded;
    if (this.loaded) line.replaceChildren(...happened(this.loaded));
    this.showAge();
  }

  /** @returns {Node[]} */
  states() {
    const { view, loaded } = this;
    const nodes = [];
    const isBusy = document.body.classList.contains("loading");
    if (isBusy) nodes.push(h("div", { class: "busy", role: "status", "aria-label": "Loading" }));
    if (this.error) nodes.push(failure(this.error, { hasPicture: loaded !== null, onRetry: () => void (this.sites.length ? this.load() : this.begin()), onKey: () => this.askForKey("Enter another one.") }));
    if (this.dropped) nodes.push(note("warn", `${view.points.length} of ${view.points.length + this.dropped} drawn`, [`At most ${POINTS_MAX} points are drawn at once; ${this.dropped} found no place.`]));
    if (loaded) nodes.push(...remarks(loaded, { zone: this.zone, labelOf: (name) => shortNames([name], view.site)[0], onRemove: (names) => void this.go({ points: view.points.filter((name) => !names.includes(name)) }), onRetry: () => void this.load() }));
    if (!this.error && !view.site) nodes.push(hero("Look at a building", "Choose a site, find its points by words, and see their trends. Drag on a chart to look closer.", ...this.examples()));
    else if (!this.error && view.points.length === 0 && !isBusy) nodes.push(hero(this.siteName(), "Find points by words of their name, unit or tags; abbreviations such as zat, sat or oat are understood.", ...this.exampleOf(view.site)));
    else if (loaded && this.newest !== undefined) nodes.push(this.emptyNote());
    return nodes;
  }

  emptyNote() {
    const name = formatInstant(this.range.from, this.zone);
    if (this.newest === null || this.newest === undefined) return note("", "No samples in this range", [`From ${name} on, none of these points has a sample, nor in the year before now. They may not be collected.`]);
    const newest = this.newest;
    const span = this.range.to - this.range.from;
    return note("", "No samples in this range", [`The newest sample is of ${formatInstant(newest, this.zone, { offset: true })}.`], action("Go there", () => this.setRange({ from: newest - span * 0.9, to: newest + span * 0.1 }, true), "primary"));
  }

  examples() {
    return this.sites.slice(0, 3).map((site) => action(site.nice_name || site.name, () => void this.example(site.name), "primary"));
  }

  /** @param {string} site */
  exampleOf(site) {
    return this.catalogSite === site && this.catalog.size ? [action("Show me an example", () => void this.example(site), "primary")] : [];
  }

  /**
   * Choose some points that most buildings have.
   * @param {string} site
   */
  async example(site) {
    if (site !== this.view.site) await this.go({ site, points: [], hide: [] });
    const all = [...this.catalog.values()].filter((point) => !point.silent);
    const tried = [/zone air temp/, /supply air temp/, /outdoor|outside/, /co2|carbon/, /fan.*status|occupan/, /power|demand/];
    const found = tried.map((pattern) => all.find((point) => pattern.test(point.text))?.name);
    const names = found.filter((name) => name !== undefined);
    await this.go({ points: [...new Set(names.length ? names : all.slice(0, 3).map((point) => point.name))] });
  }

  siteName() {
    return this.sites.find((site) => site.name === this.view.site)?.nice_name || this.view.site;
  }

  /**
   * @param {string} name
   * @param {boolean} alone
   */
  toggle(name, alone) {
    const { points, hide } = this.view;
    const others = points.filter((each) => each !== name);
    const isAlone = others.every((each) => hide.includes(each)) && !hide.includes(name);
    if (alone) void this.go({ hide: isAlone ? [] : others }, { replace: true });
    else void this.go({ hide: hide.includes(name) ? hide.filter((each) => each !== name) : [...hide, name] }, { replace: true });
  }

  showSites() {
    const select = byId("site");
    const options = this.sites.map((site) => h("option", { value: site.name }, site.nice_name && site.nice_name !== site.name ? site.nice_name : site.name));
    if (this.view.site && !this.sites.some((site) => site.name === this.view.site)) options.push(h("option", { value: this.view.site }, this.view.site));
    select.replaceChildren(h("option", { value: "" }, "Choose a site…"), ...options);
    select.value = this.view.site;
  }

  showTime() {
    const text = { from: this.view.from, to: this.view.to };
    byId("time-text").textContent = rangeName(text, this.range, this.zone);
    byId("time").title = `${formatInstant(this.range.from, this.zone, { offset: true })} – ${formatInstant(this.range.to, this.zone, { offset: true })}`;
    byId("later").disabled = this.range.to >= Date.now() - SPAN_MIN;
    byId("back").disabled = this.depth === 0;
  }

  openTime() {
    fillTimePanel(byId("time-panel"), { text: this.view, range: this.range, zone: this.zone, isUtc: this.zone === "UTC", browserZone: BROWSER_ZONE }, {
      onText: ({ from, to }) => void this.go({ from, to }),
      onZone: (isUtc) => void this.go({ tz: isUtc ? "UTC" : "" }),
    });
  }

  openTake() {
    const { site, points } = this.view;
    const png = () => pictureOf(this.stack.pictures(), `${this.siteName()} · ${rangeName(this.view, this.range, this.zone)} (${this.zone})`);
    fillTakePanel(byId("take-panel"), { site, points, ...this.range }, { png });
  }

  showAge() {
    const box = byId("live-note");
    const times = this.loaded?.series.map((series) => series.times.at(-1) ?? 0) ?? [];
    const newest = Math.max(0, ...times);
    box.hidden = !(this.view.refresh || this.view.to === "now") || newest === 0;
    if (box.hidden) return;
    const { text, isStale } = age(newest, Math.max(0, ...this.view.points.map((name) => this.catalog.get(name)?.interval ?? 0)), Date.now());
    box.textContent = `${this.view.refresh ? "Live: " : ""}${text}`;
    box.classList.toggle("stale", isStale);
  }

  /** @param {import("./api.js").Job | null} job */
  showJob(job) {
    const box = byId("job");
    box.hidden = !job;
    if (!job) return box.replaceChildren();
    const cancel = async () => {
      try {
        await send(`/api/jobs/${encodeURIComponent(job.jobId)}`, { method: "DELETE" });
        rememberJob(null);
      } catch (error) {
        toast(reasonOf(error));
      }
    };
    const began = Date.parse(job.startedAt ?? job.createdAt);
    const [done, all] = [job.samplesCount ?? 0, job.estimatedSize ?? 0].map((count) => count.toLocaleString("en-US"));
    const text = `${job.progress} % · ${done}${job.samplesCount < job.estimatedSize ? ` of about ${all}` : ""} samples · ${formatElapsed(Date.now() - began)} min`;
    if (box.dataset.job !== job.jobId || !box.childElementCount) {
      box.dataset.job = job.jobId;
      box.replaceChildren(note("", "A long question: it is answered in the background", [h("p", { class: "job-text" }), h("progress", { max: 100, "aria-label": "Progress of the job" })], action("Cancel", () => void cancel())));
    }
    box.querySelector(".job-text").textContent = text;
    box.querySelector("progress").value = job.progress;
  }
}
