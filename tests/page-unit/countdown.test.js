// The seconds that a transition still takes, and the one timer that counts them.

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { FakeBrowser } from "./browser.js";

const browser = new FakeBrowser();
const { countDown } = await import("../../web/lights/countdown.js");

/** A light whose transition ends in this many ms. */
const light = (ms) => ({ arrives: browser.now + ms, left: "" });

beforeEach(() => {
  browser.setHidden(false);
  countDown([]);
});

test("the seconds are rounded up and end in nothing", () => {
  const led = light(2500);
  countDown([led]);
  assert.equal(led.left, "3 s left");
  browser.advance(501);
  assert.equal(led.left, "2 s left");
  browser.advance(1000);
  assert.equal(led.left, "1 s left");
  browser.advance(1000);
  assert.equal(led.left, "");
});

test("from a minute on there are minutes", () => {
  const led = light(60_000);
  countDown([led]);
  assert.equal(led.left, "1:00 left");
  countDown([Object.assign(led, { arrives: browser.now + 3_599_000 })]);
  assert.equal(led.left, "59:59 left");
  countDown([Object.assign(led, { arrives: browser.now + 65_000 })]);
  assert.equal(led.left, "1:05 left");
});

test("one timer runs, however many lights are on their way, and it fires when a text changes", () => {
  const first = light(2500), second = light(2800);
  countDown([first, second]);
  countDown([first, second]);
  assert.equal(browser.pending, 1);
  browser.advance(501);
  assert.deepEqual([first.left, second.left], ["2 s left", "3 s left"]);
  browser.advance(300);
  assert.deepEqual([first.left, second.left], ["2 s left", "2 s left"]);
});

test("no timer runs once all lights have arrived", () => {
  countDown([light(1500)]);
  browser.advance(2000);
  assert.equal(browser.pending, 0);
});

test("a hidden page counts nothing, and is right when it is shown again", () => {
  const led = light(10_000);
  countDown([led]);
  browser.setHidden(true);
  assert.equal(browser.pending, 0);
  browser.advance(4000);
  browser.setHidden(false);
  assert.equal(led.left, "6 s left");
});
