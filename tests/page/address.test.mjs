import assert from "node:assert/strict";
import { test } from "node:test";
import { emptyView, readAddress, writeAddress } from "../../src/dashboard/times.js";

test("a view survives its address", () => {
  const view = { site: "a-b", points: ["a-b/x, y/Zähler & Co", "p+q=r%"], from: "2026-10-01T00:00:00Z", to: "now-1h", tz: "UTC", refresh: "5", hide: ["p+q=r%"], cmp: "7d" };
  assert.deepEqual(readAddress(writeAddress(view)), view);
});

test("the empty view has no address", () => {
  assert.equal(writeAddress(emptyView()), "");
  assert.deepEqual(readAddress(""), emptyView());
});

test("what makes no sense is left out", () => {
  const view = readAddress("?site=s&p=a&p=a&p=&hide=b&hide=a&refresh=7&cmp=constructor&tz=Nowhere/Land&other=1");
  assert.deepEqual(view, { ...emptyView(), site: "s", points: ["a"], hide: ["a"] });
});

test("at most twenty points are taken", () => {
  const names = Array.from({ length: 34 }, (_, index) => `p${index}`);
  assert.deepEqual(readAddress(writeAddress({ ...emptyView(), points: names })).points, names.slice(0, 20));
});

test("zones have several names", () => {
  assert.equal(readAddress("?tz=utc").tz, "UTC");
  assert.equal(readAddress("?tz=browser").tz, "");
  assert.equal(readAddress("?tz=Europe/Berlin").tz, "Europe/Berlin");
  assert.equal(readAddress("?refresh=5m").refresh, "5");
});
