import assert from "node:assert/strict";
import { test } from "node:test";
import * as t from "../../src/dashboard/times.js";

const NOW = Date.UTC(2026, 9, 7, 15, 30); // a Wednesday
const at = (text, zone = "UTC") => t.parseInstant(text, NOW, zone);

test("relative times count back from now", () => {
  assert.equal(at("now"), NOW);
  assert.equal(at("now-15m"), NOW - 15 * 60_000);
  assert.equal(at(" NOW - 7d "), NOW - 7 * t.DAY);
  assert.equal(at("now-1y"), NOW - 365 * t.DAY);
});

test("dates are read in the zone shown, offsets as they are", () => {
  assert.equal(at("2026-10-01"), Date.UTC(2026, 9, 1));
  assert.equal(at("20261001"), Date.UTC(2026, 9, 1));
  assert.equal(at("2026-10-01 14:30", "America/Chicago"), Date.UTC(2026, 9, 1, 19, 30));
  assert.equal(at("2026-10-01T14:30:15.250Z", "America/Chicago"), Date.UTC(2026, 9, 1, 14, 30, 15, 250));
  assert.equal(at("2026-10-01T14:30+05:30"), Date.UTC(2026, 9, 1, 9, 0));
  assert.equal(at("1790000000000"), 1790000000000);
});

test("what is no time is none", () => {
  for (const text of ["", "soon", "2026-02-30", "2026-13-01", "2026-01-01 24:30", "now+1d", "constructor", "2026-01-01T00:00X"]) assert.equal(at(text), null, text);
});

test("days of the calendar begin in the zone shown", () => {
  assert.equal(at("today", "America/Chicago"), Date.UTC(2026, 9, 7, 5));
  assert.equal(at("yesterday"), Date.UTC(2026, 9, 6));
  assert.equal(at("week"), Date.UTC(2026, 9, 5));
  assert.equal(at("last week"), Date.UTC(2026, 8, 28));
  assert.equal(at("lastmonth"), Date.UTC(2026, 8, 1));
});

test("times that clocks skip or show twice", () => {
  // Chicago: 8 March 2026, 02:00 becomes 03:00; 1 November 2026, 02:00 becomes 01:00.
  assert.equal(at("2026-03-08 02:30", "America/Chicago"), Date.UTC(2026, 2, 8, 8, 30));
  assert.equal(at("2026-11-01 01:30", "America/Chicago"), Date.UTC(2026, 10, 1, 6, 30));
  assert.equal(at("2026-03-08 03:00", "America/Chicago"), Date.UTC(2026, 2, 8, 8));
});

test("a range says what is wrong with it", () => {
  assert.match(t.parseRange({ from: "nonsense", to: "now" }, NOW, "UTC").problem, /From cannot be read: “nonsense”/);
  assert.match(t.parseRange({ from: "now", to: "now-1d" }, NOW, "UTC").problem, /before/);
  assert.match(t.parseRange({ from: "1990-01-01", to: "now" }, NOW, "UTC").problem, /20 years/);
  assert.deepEqual(t.parseRange({ from: "now-1h", to: "now" }, NOW, "UTC").range, { from: NOW - t.HOUR, to: NOW });
});

test("every preset is a range", () => {
  for (const preset of t.PRESETS) assert.equal(t.parseRange(preset, NOW, "Europe/Berlin").problem, null, preset.label);
});

test("shifting goes by spans and stops at now", () => {
  const day = { from: NOW - 3 * t.DAY, to: NOW - 2 * t.DAY };
  assert.deepEqual(t.shifted(day, 1, NOW), { from: NOW - 2 * t.DAY, to: NOW - t.DAY });
  assert.deepEqual(t.shifted(day, -1, NOW), { from: NOW - 4 * t.DAY, to: NOW - 3 * t.DAY });
  assert.deepEqual(t.shifted({ from: NOW - t.DAY, to: NOW - t.HOUR }, 1, NOW), { from: NOW - t.DAY + t.HOUR, to: NOW });
});

test("zooming keeps the centre and never passes now", () => {
  const day = { from: NOW - 4 * t.DAY, to: NOW - 3 * t.DAY };
  assert.deepEqual(t.zoomed(day, 2, NOW), { from: NOW - 4.5 * t.DAY, to: NOW - 2.5 * t.DAY });
  assert.deepEqual(t.zoomed({ from: NOW - t.DAY, to: NOW }, 2, NOW), { from: NOW - 2 * t.DAY, to: NOW });
  assert.deepEqual(t.zoomed(day, 0.5, NOW, day.from), { from: day.from, to: day.from + t.DAY / 2 });
});

test("questions are aligned outward, and end now at the latest", () => {
  const asked = t.aligned({ from: NOW - 7 * t.DAY - 12_345, to: NOW - t.DAY - 12_345 }, NOW, 500);
  assert.equal(asked.from % (15 * 60_000), 0);
  assert.ok(asked.from <= NOW - 7 * t.DAY - 12_345 && asked.to >= NOW - t.DAY - 12_345);
  assert.equal(t.aligned({ from: NOW - t.DAY, to: NOW }, NOW, 500).to, NOW);
});

test("instants are shown in their zone, with its offset", () => {
  assert.equal(t.formatInstant(NOW, "America/Chicago", { seconds: true, offset: true }), "2026-10-07 10:30:00 -05:00");
  assert.equal(t.formatInstant(NOW, "UTC", { offset: true }), "2026-10-07 15:30 Z");
  assert.equal(t.formatInstant(NOW, "Asia/Kolkata", { offset: true }), "2026-10-07 21:00 +05:30");
  assert.equal(t.inputText(NOW, "UTC"), "2026-10-07T15:30");
});

test("spans and clocks", () => {
  assert.deepEqual([30_000, 180_000, 5 * t.HOUR, 3 * t.DAY].map(t.formatSpan), ["30 s", "3 min", "5 h", "3 d"]);
  assert.equal(t.formatElapsed(65_400), "1:05");
});
