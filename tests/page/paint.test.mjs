import assert from "node:assert/strict";
import { test } from "node:test";
import { outline } from "../../src/dashboard/paint.js";

const area = { left: 0, top: 0, width: 100, height: 100, from: 0, to: 100, low: 0, high: 100 };
const line = (samples, gap = Infinity) => ({
  times: Float64Array.from(samples, (sample) => sample[0]),
  values: Float64Array.from(samples, (sample) => sample[1]),
  gap,
});

test("samples are joined, unless a gap or a missing value parts them", () => {
  const found = outline(line([[0, 0], [10, 10], [50, 50], [60, NaN], [70, 70], [80, 80]], 20), area);
  assert.deepEqual(found, { lines: [[0, 100, 10, 90], [70, 30, 80, 20]], dots: [50, 50] });
});

test("of a thinned series, a missing value parts nothing, and a gap still does", () => {
  const found = outline({ ...line([[0, 0], [10, NaN], [20, 20], [90, 90], [95, 95]], 30), thinned: true }, area);
  assert.deepEqual(found.lines, [[0, 100, 20, 80], [90, 10, 95, 5]]);
});

test("a column's lowest and highest sample are drawn", () => {
  const samples = Array.from({ length: 100_000 }, (_, index) => [index / 1000, index === 50_500 ? 99 : index === 50_600 ? 1 : 50]);
  const { lines } = outline(line(samples), area);
  const heights = lines.flat().filter((_, index) => index % 2);
  assert.deepEqual([Math.min(...heights), Math.max(...heights)], [1, 99]);
  assert.ok(lines.flat().length <= 2 * 4 * 101);
});

test("lines enter and leave at the edges", () => {
  const { lines } = outline(line([[-50, 0], [-10, 10], [50, 50], [110, 90], [200, 0]]), area);
  assert.deepEqual(lines, [[-10, 90, 50, 50, 110, 10]]);
});
