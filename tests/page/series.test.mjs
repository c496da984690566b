import assert from "node:assert/strict";
import { test } from "node:test";
import * as s from "../../src/dashboard/series.js";

const how = { unit: "°F", interval: 60_000, span: 3_600_000, maxPoints: null };
const series = (samples, more = {}) => s.seriesOf("p", { samples, error: null }, { ...how, ...more });
const minutes = (...values) => values.map((value, index) => [index * 60_000, value]);

test("numbers make a line, nulls are told apart, texts are counted", () => {
  const found = series(minutes(1, null, 2.5, "bad", 3));
  assert.equal(found.kind, "number");
  assert.deepEqual([...found.values], [1, NaN, 2.5, NaN, 3]);
  assert.deepEqual(found.nulls, [60_000]);
  assert.equal(found.texts, 1);
});

test("texts, booleans and numbered states make lanes", () => {
  assert.equal(series(minutes("on", "off")).kind, "state");
  assert.equal(series(minutes(true, false)).kind, "state");
  assert.equal(series(minutes(0, 1, 1), { unit: "" }).kind, "state");
  assert.equal(series(minutes(0, 1, 1)).kind, "number");
  assert.equal(series(minutes(0, 1.5), { unit: "" }).kind, "number");
  assert.equal(series(minutes(1, 2, 3, 4, 5, 6, 7), { unit: "" }).kind, "number");
  assert.equal(series([]).kind, "empty");
});

test("a gap is three intervals, or more than two buckets of a thinned answer", () => {
  assert.equal(series(minutes(1, 2)).gap, 180_000);
  assert.equal(series(minutes(1, 2, 3, 4), { interval: 0 }).gap, 180_000);
  const many = Array.from({ length: 90 }, (_, index) => [index * 40_000, index]);
  assert.equal(series(many, { maxPoints: 50 }).gap, 2 * 288_000 + 60_000);
  assert.equal(series(many, { maxPoints: 100 }).gap, 180_000);
  assert.equal(series(many, { maxPoints: 100, interval: 0 }).gap, 2 * 144_000 + 40_000);
  assert.equal(s.widthOf("15m", 5, { ...how, maxPoints: 100 }), 900_000);
  assert.equal(s.widthOf("raw", 90, { ...how, maxPoints: 10 }), 0);
});

test("of states whose samples were thinned out, only the changes are there: none is a gap", () => {
  const changes = [[0, "on"], [1_800_000, "off"]];
  assert.equal(series(changes, { maxPoints: 50 }).gap, Infinity);
  assert.equal(series(changes, { maxPoints: 100 }).gap, 180_000);
});

test("equal states are one run, and end at a gap", () => {
  const runs = s.runsOf(series([[0, "on"], [60_000, "on"], [120_000, "off"], [600_000, "off"]]));
  assert.deepEqual(runs, [
    { from: 0, to: 120_000, value: "on" },
    { from: 120_000, to: 180_000, value: "off" },
    { from: 600_000, to: 660_000, value: "off" },
  ]);
});

test("figures are of the range alone", () => {
  const found = s.figuresOf(series(minutes(9, 1, null, 3, 99)), { from: 60_000, to: 240_000 });
  assert.deepEqual(found, { last: 3, lastTime: 180_000, min: 1, max: 3, mean: 2, count: 3 });
  assert.ok(Number.isNaN(s.figuresOf(series([]), { from: 0, to: 1 }).mean));
});

test("the sample near an instant is the nearest of a line, and the one that holds of a state", () => {
  const line = series(minutes(1, 2, 3));
  assert.equal(s.sampleNear(line, 80_000), 1);
  assert.equal(s.sampleNear(line, 100_000), 2);
  assert.equal(s.sampleNear(line, 10_000_000), -1);
  const state = series(minutes("a", "b"));
  assert.equal(s.sampleNear(state, 59_999), 0);
  assert.equal(s.sampleNear(state, 60_000), 1);
  assert.equal(s.sampleNear(state, -1), -1);
});

test("limits leave room, and zero is the floor of what is never negative", () => {
  assert.deepEqual(s.limitsOf([series(minutes(0, 100))], { from: 0, to: 1e9 }), [0, 108]);
  assert.deepEqual(s.limitsOf([series(minutes(5, 5))], { from: 0, to: 1e9 }), [4.5, 5.5]);
  assert.equal(s.limitsOf([series([])], { from: 0, to: 1 }), null);
});

test("numbers are written with the digits that people read", () => {
  assert.deepEqual([70.1234, 1234.56, 0.00421, 0, NaN, 2.5e12, 123.456].map(s.formatNumber), ["70.12", "1,234.6", "0.0042", "0", "–", "2.500e+12", "123.5"]);
});

test("a series is moved with all that it has", () => {
  const found = s.moved(series(minutes(1, null)), 1000);
  assert.deepEqual([...found.times, ...found.nulls], [1000, 61_000, 61_000]);
});
