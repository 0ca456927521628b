// When a timer is due, in the words of the list of timers.

import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import { FakeBrowser } from "./browser.js";

new FakeBrowser();
const { dueText } = await import("../../web/sheet/timers.js");

const realNow = Date.now;
const at = (time) => (Date.now = () => Date.parse(time));

beforeEach(() => at("2026-11-26T12:00:00Z"));
afterEach(() => (Date.now = realNow));

test("the day is relative to today, and the time is that of the service", () => {
  assert.equal(dueText({ next: "2026-11-26T23:30:00-03:00" }), "today 23:30");
  assert.equal(dueText({ next: "2026-11-27T07:00:00+01:00" }), "tomorrow 07:00");
  assert.equal(dueText({ next: "2026-11-28T07:00:00+01:00" }), "Sat, Nov 28 07:00");
});

test("the service's midnight counts, wherever the page is", () => {
  at("2026-11-26T13:45:00Z");
  // There it is 00:15 of the 27th: the half hour of the offset counts.
  assert.equal(dueText({ next: "2026-11-27T09:00:00+10:30" }), "today 09:00");
  // There it is 02:45 of the 26th.
  assert.equal(dueText({ next: "2026-11-27T09:00:00-11:00" }), "tomorrow 09:00");
});

test("a timer without a next time is not due, or says what it waits for", () => {
  assert.equal(dueText({}), "not due");
  assert.equal(dueText({ waiting: "place" }), "waits for latitude and longitude in the settings");
  assert.equal(dueText({ waiting: "of a newer version" }), "not due");
});
