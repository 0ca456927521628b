// How the slider for all lights scales them.

import assert from "node:assert/strict";
import { test } from "node:test";

import { FakeBrowser } from "./browser.js";

new FakeBrowser();
const { scaled } = await import("../../web/lights/master.js");

test("the highest light gets the level, and the others keep their proportion to it", () => {
  assert.deepEqual(scaled([80, 40, 0], 40), [40, 20, 0]);
  assert.deepEqual(scaled([20, 50], 100), [40, 100]);
});

test("lights that are all off get the same level", () => {
  assert.deepEqual(scaled([0, 0], 30), [30, 30]);
});

test("levels are rounded to tenths", () => {
  assert.deepEqual(scaled([90, 30.5], 50), [50, 16.9]);
});

test("at 0 all lights are off", () => {
  assert.deepEqual(scaled([80, 40], 0), [0, 0]);
});

test("without lights there is nothing to scale", () => {
  assert.deepEqual(scaled([], 50), []);
});
