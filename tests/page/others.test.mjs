import assert from "node:assert/strict";
import { test } from "node:test";
import { apiUrl, curlCommand, fileName, pythonCode } from "../../src/dashboard/panels.js";
import { splitEvents } from "../../src/dashboard/api.js";
import { axisText } from "../../src/dashboard/times.js";

const asked = { origin: "https://bv.example", site: "s", points: ["s/a, b", "s/it's"], from: 0, to: 3_600_000, keyed: true };

test("commands ask the chart's question, and no shell sees a name's signs", () => {
  assert.equal(new URL(apiUrl(asked)).searchParams.getAll("point").join("|"), "s/a, b|s/it's");
  assert.match(curlCommand(asked), /Bearer \$BUILDING_VITALS_KEY/);
  assert.ok(curlCommand({ ...asked, keyed: false }).includes("'https://bv.example/api/timeseries?site=s"));
  assert.ok(!curlCommand({ ...asked, keyed: false }).includes("Bearer"));
  assert.match(pythonCode(asked), /pd\.read_csv\(url, parse_dates=\["time"\], storage_options=headers\)/);
  assert.equal(fileName("s", 0, 3_600_000, "csv"), "s_1970-01-01T0000_1970-01-01T0100.csv");
});

test("events are read as they come, whole ones alone", () => {
  const { events, rest } = splitEvents('event: progress\ndata: {"a":1}\n\n: beat\n\nevent: completed\r\ndata: {}\r\n\r\nevent: pro');
  assert.deepEqual(events, [{ event: "progress", data: '{"a":1}' }, { event: "completed", data: "{}" }]);
  assert.equal(rest, "event: pro");
});

test("ticks say the date where it is another one than before", () => {
  const hours = [22, 23, 24, 25].map((hour) => hour * 3_600_000);
  assert.deepEqual(axisText(hours, 3_600_000, "UTC"), ["22:00\nThu 1 Jan", "23:00", "00:00\nFri 2 Jan", "01:00"]);
  assert.deepEqual(axisText([0, 86_400_000], 86_400_000, "UTC"), ["1 Jan\n1970", "2 Jan"]);
  assert.deepEqual(axisText([0], 15_000, "America/Chicago"), ["18:00:00\nWed 31 Dec"]);
  assert.deepEqual(axisText([0, 31 * 86_400_000], 30 * 86_400_000, "UTC"), ["Jan\n1970", "Feb"]);
});
