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
  assert.deepEqual(found, { lines: [[0, 100, 10, 90], [70, 30, 80, 20]], bars: [], dots: [50, 50] });
});

test("of a thinned series, a missing value parts nothing, and a gap still does", () => {
  const found = outline({ ...line([[0, 0], [10, NaN], [20, 20], [90, 90], [95, 95]], 30), thinned: true }, area);
  assert.deepEqual(found.lines, [[0, 100, 20, 80], [90, 10, 95, 5]]);
});

test("a column's lowest and highest sample are drawn", () => {
  const samples = Array.from({ length: 100_000 }, (_, index) => [index / 1000, index === 50_500 ? 99 : index === 50_600 ? 1 : 50]);
  const { lines, bars } = outline(line(samples), area);
  assert.deepEqual(bars, [50, 1, 99]);
  assert.deepEqual(lines.map((each) => each.slice(-2)), [[50, 50], [99, 50]]);
  assert.ok(lines.flat().length <= 2 * 4 * 101);
});

test("a line leads to a bar and out of it, and bars beside one another touch", () => {
  const found = outline(line([[8, 90], [10, 90], [10.3, 70], [10.6, 80], [11, 50], [11.3, 20], [11.6, 40], [14, 20]]), area);
  assert.deepEqual(found, { lines: [[8, 10, 10, 10], [11, 60, 14, 80]], bars: [10, 10, 30, 11, 30, 80], dots: [] });
});

test("a line that goes one way stays a line, however steep", () => {
  const found = outline(line([[8, 10], [10, 10], [10.3, 50], [10.6, 90], [12, 90]]), area);
  assert.deepEqual(found, { lines: [[8, 90, 10, 90, 10, 10, 12, 10]], bars: [], dots: [] });
});

test("bars apart are joined by a line, unless a gap parts them", () => {
  const samples = [[10, 90], [10.3, 70], [10.6, 80], [14, 50], [14.3, 20], [14.6, 40]];
  assert.deepEqual(outline(line(samples), area), { lines: [[10, 20, 14, 50]], bars: [10, 10, 30, 14, 50, 80], dots: [] });
  assert.deepEqual(outline(line(samples, 2), area), { lines: [], bars: [10, 10, 30, 14, 50, 80], dots: [] });
});

/** Which heights a line covers in each column; from corners and bars. */
function covered(lines, bars) {
  const columns = Array.from({ length: 100 }, () => [Infinity, -Infinity]);
  const cover = (column, ...heights) => {
    if (column < 0 || column > 99) return;
    columns[column] = [Math.min(columns[column][0], ...heights), Math.max(columns[column][1], ...heights)];
  };
  for (const corners of lines)
    for (let at = 2; at < corners.length; at += 2) {
      const [x, y, toX, toY] = corners.slice(at - 2, at + 2);
      const yAt = (where) => (toX === x ? y : y + ((Math.min(Math.max(where, x), toX) - x) / (toX - x)) * (toY - y));
      for (let column = Math.floor(x); column <= toX; column += 1) cover(column, yAt(column), yAt(column + 1), ...(toX === x ? [toY] : []));
    }
  for (let at = 0; at < bars.length; at += 3) cover(bars[at], bars[at + 1], bars[at + 2]);
  return columns;
}

test("what is drawn is what all samples joined would draw, to a pixel beside", () => {
  let seed = 7;
  const random = () => (seed = (seed * 16_807) % 2_147_483_647) / 2_147_483_647;
  for (let round = 0; round < 300; round += 1) {
    const [step, noise, jump] = [0.02 + random() * random() * 4, random() < 0.5 ? 3 : 60, random() < 0.3 ? 8 : 0];
    const samples = [];
    for (let time = random() * 5; time < 100; time += step * random() + (random() < 0.05 ? jump : 0)) samples.push([time, 50 + noise * (random() - 0.5) * Math.sin(time / 9)]);
    const { lines, bars } = outline(line(samples), area);
    const drawn = covered(lines, bars);
    const all = covered([samples.flatMap(([time, value]) => [time, 100 - value])], []);
    const near = (columns, column) => columns.slice(Math.max(column - 1, 0), column + 2).reduce(([low, high], each) => [Math.min(low, each[0]), Math.max(high, each[1])], [Infinity, -Infinity]);
    for (let column = 0; column < 100; column += 1)
      for (const [one, other] of [[drawn, all], [all, drawn]]) {
        const [low, high] = near(other, column);
        assert.ok(one[column][0] >= low - 1e-6 && one[column][1] <= high + 1e-6, `round ${round}, column ${column}: ${one[column]} in ${[low, high]}`);
      }
  }
});

test("lines enter and leave at the edges", () => {
  const { lines } = outline(line([[-50, 0], [-10, 10], [50, 50], [110, 90], [200, 0]]), area);
  assert.deepEqual(lines, [[-10, 90, 50, 50, 110, 10]]);
});
