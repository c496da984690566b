import assert from "node:assert/strict";
import { test } from "node:test";

globalThis.matchMedia = () => ({ matches: false });
const { hourLines } = await import("../../src/dashboard/views.js");

const HOUR = 3_600_000;
const START = Date.UTC(2026, 9, 8, 10);
const route = (routeType, requests, p95Duration) => ({ routeType, requests, p95Duration });
const hour = (index, hitRate, ...routes) => ({ start: new Date(START + index * HOUR).toISOString(), hitRate, routes });
const HOURS = [hour(0, 0.75, route("cached", 4, 20), route("direct", 1, 7)), hour(1, null), hour(2, 0, route("cached", 2, null))];
const NOW = START + 2.5 * HOUR;

const found = () => hourLines(HOURS, NOW).map(({ label, unit, series }) => ({ label, unit, times: [...series.times], values: [...series.values], gap: series.gap }));
const of = (label, unit) => found().find((line) => line.label === label && line.unit === unit);

test("each hour is as wide as it is long, an idle one has no request", () => {
  const ends = [START, START + HOUR - 1, START + HOUR, START + 2 * HOUR - 1, START + 2 * HOUR, NOW];
  assert.deepEqual(of("cached", "requests/h").times, ends);
  assert.deepEqual(of("cached", "requests/h").values, [4, 4, 0, 0, 2, 2]);
  assert.deepEqual(of("direct", "requests/h").values, [1, 1, 0, 0, 0, 0]);
});

test("an hour in which nothing could hit has no line, and parts those beside it", () => {
  const hits = found().find((line) => line.unit === "% hits");
  assert.deepEqual(hits.values, [75, 75, 0, 0]);
  assert.ok(hits.times[1] - hits.times[0] <= hits.gap);
  assert.ok(hits.times[2] - hits.times[1] > hits.gap);
});

test("hours that follow each other are joined", () => {
  const { times, gap } = of("cached", "requests/h");
  assert.ok(times.every((time, index) => index === 0 || time - times[index - 1] <= gap));
});

test("a percentile that is not known is not drawn", () => {
  assert.deepEqual(of("cached", "ms, p95").values, [20, 20]);
  assert.deepEqual(of("direct", "ms, p95").values, [7, 7]);
});

test("before the first hour nothing is drawn", () => {
  assert.deepEqual(hourLines([], NOW).map((line) => line.series.kind), ["empty"]);
});
