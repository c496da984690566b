import assert from "node:assert/strict";
import { test } from "node:test";
import { matcher, partsOf, pointOf, shortNames } from "../../src/dashboard/finder.js";

const point = (name, unit = "", more = {}) => pointOf({ name, kv_tags: { unit }, marker_tags: ["point"], collect_interval: 300, ...more });
const ZONE = point("s/1/VAV-01/Zone Air Temperature", "°F");
const SUPPLY = point("s/1/AHU-01/Supply Air Temperature Setpoint", "°F");
const FLOW = point("s/1/VAV-01/Discharge Air Flow", "cfm");
const SPACE = point("s/1/VAV-02/Spare Space", "");
const all = [ZONE, SUPPLY, FLOW, SPACE];
const found = (query) => all.filter(matcher(query));

test("all words must occur, in name, unit or tags", () => {
  assert.deepEqual(found("vav air"), [ZONE, FLOW]);
  assert.deepEqual(found("CFM vav"), [FLOW]);
  assert.deepEqual(found("point"), all);
  assert.deepEqual(found(""), all);
  assert.deepEqual(found("vav nothing"), []);
});

test("abbreviations mean what they stand for, and are no parts of words", () => {
  assert.deepEqual(found("zat"), [ZONE]);
  assert.deepEqual(found("sat sp"), [SUPPLY]);
  assert.deepEqual(found("sp"), [SUPPLY]);
  assert.deepEqual(found("da"), [FLOW]);
});

test("signs of patterns are plain letters, and names of objects no abbreviations", () => {
  assert.deepEqual(found("("), []);
  assert.deepEqual(found(".*"), []);
  assert.deepEqual(found("constructor"), []);
});

test("a point is read from the API's list, whatever is missing", () => {
  assert.deepEqual(pointOf({ name: "a" }), { name: "a", unit: "", interval: 0, silent: false, text: " a  " });
  assert.equal(point("a", "kW", { collect_enabled: false }).silent, true);
  assert.equal(ZONE.interval, 300_000);
  assert.equal(pointOf({ name: "a", kv_tags: null, marker_tags: null, unit: "kW" }).unit, "kW");
});

test("names are divided, and shortened as far as they stay apart", () => {
  assert.deepEqual(partsOf("s/1/VAV-01/Flow", "s"), { path: "1/VAV-01", last: "Flow" });
  assert.deepEqual(partsOf("alone", "s"), { path: "", last: "alone" });
  assert.deepEqual(shortNames(["s/1/VAV-01/Flow", "s/1/VAV-02/Flow", "s/1/AHU/Temp"], "s"), ["VAV-01 / Flow", "VAV-02 / Flow", "Temp"]);
  assert.deepEqual(shortNames(["x", "x"], "s"), ["x", "x"]);
});
