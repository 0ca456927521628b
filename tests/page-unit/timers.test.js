// When a timer is due, in the words of the list of timers.

import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import { FakeBrowser } from "./browser.js";

process.env.TZ = "America/Sao_Paulo";
new FakeBrowser();
const { dueText } = await import("../../web/sheet/timers.js");

const realNow = Date.now;
const at = (time) => (Date.now = () => Date.parse(time));

beforeEach(() => at("2026-11-26T12:00:00Z"));
afterEach(() => (Date.now = realNow));

// Between time and AM is a narrow space.
const due = (timer) => dueText(timer).replaceAll("\u202f", " ");

test("the day is relative to today, and the time is that of the service", () => {
  assert.equal(due({ next: "2026-11-26T23:30:00-03:00" }), "today 11:30 PM");
  assert.equal(due({ next: "2026-11-27T07:00:00-03:00" }), "tomorrow 7:00 AM");
  assert.equal(due({ next: "2026-11-28T07:00:00-03:00" }), "Sat, Nov 28 7:00 AM");
});

test("where the clocks of the page are others, it says their time, too", () => {
  assert.equal(due({ next: "2026-11-27T07:00:00+01:00" }), "tomorrow 7:00 AM (3:00 AM here)");
  assert.equal(due({ next: "2026-11-27T07:00:00+05:30" }), "tomorrow 7:00 AM (10:30 PM here)");
});

test("the service's midnight counts, wherever the page is", () => {
  at("2026-11-26T13:45:00Z");
  // There it is 00:15 of the 27th: the half hour of the offset counts.
  assert.match(due({ next: "2026-11-27T09:00:00+10:30" }), /^today 9:00 AM /);
  // There it is 02:45 of the 26th.
  assert.match(due({ next: "2026-11-27T09:00:00-11:00" }), /^tomorrow 9:00 AM /);
});

test("a light that fades out is off at the end, which the text of the timer says", () => {
  const next = "2026-11-26T23:59:30-03:00";
  assert.equal(due({ next, on: false, transition: 60 }), "tomorrow");
  assert.equal(due({ next, on: false }), "today");
});

test("a timer without a next time is not due, or says what it waits for", () => {
  assert.equal(dueText({}), "not due");
  assert.equal(dueText({ waiting: "place" }), "waits for latitude and longitude in the settings");
  assert.equal(dueText({ waiting: "of a newer version" }), "not due");
});
