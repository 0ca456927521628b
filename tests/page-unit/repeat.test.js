// The buttons for more and less light, which repeat while they are held.

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { repeatWhileHeld } from "../../web/lights/slider.js";
import { FakeBrowser, FakeElement } from "./browser.js";

let browser;
let button;
let steps;
let busy;

const press = (more = {}) => button.fire("pointerdown", { pointerId: 1, button: 0, ...more });

beforeEach(() => {
  browser = new FakeBrowser();
  button = new FakeElement({ disabled: false });
  [steps, busy] = [0, false];
  repeatWhileHeld(button, () => steps++, () => busy);
});

test("a press is one step, at once", () => {
  press();
  assert.equal(steps, 1);
  button.fire("pointerup");
  button.fire("click", { detail: 1 });
  browser.advance(5000);
  assert.equal(steps, 1);
});

test("a hold repeats after 400 ms, every 80 ms", () => {
  press();
  browser.advance(399);
  assert.equal(steps, 1);
  browser.advance(1);
  assert.equal(steps, 2);
  browser.advance(79);
  assert.equal(steps, 2);
  browser.advance(1);
  assert.equal(steps, 3);
  browser.advance(800);
  assert.equal(steps, 13);
});

for (const end of ["pointerup", "pointercancel", "lostpointercapture"])
  test(`a hold ends with ${end}`, () => {
    press();
    browser.advance(1000);
    const before = steps;
    button.fire(end);
    browser.advance(1000);
    assert.equal(steps, before);
  });

test("on a slow network each fourth repeat is a step", () => {
  press();
  busy = true;
  browser.advance(400 + 80 * 7);
  assert.equal(steps, 3);
});

test("an answer brings the pace back", () => {
  press();
  busy = true;
  browser.advance(400 + 80 * 3);
  assert.equal(steps, 2);
  busy = false;
  browser.advance(80 * 2);
  assert.equal(steps, 4);
  // What was skipped before the answer counts no more.
  busy = true;
  browser.advance(80 * 3);
  assert.equal(steps, 4);
  browser.advance(80);
  assert.equal(steps, 5);
});

test("a press again begins the 400 ms again", () => {
  press();
  browser.advance(300);
  press();
  browser.advance(399);
  assert.equal(steps, 2);
});

test("a disabled button and other buttons of a mouse do nothing", () => {
  press({ button: 2 });
  button.disabled = true;
  press();
  browser.advance(1000);
  assert.equal(steps, 0);
});

test("a hold ends when the button is disabled", () => {
  press();
  browser.advance(400);
  button.disabled = true;
  browser.advance(1000);
  button.disabled = false;
  browser.advance(1000);
  assert.equal(steps, 2);
});

test("a key or a screen reader, which clicks without a pointer, is one step", () => {
  button.fire("click", { detail: 0 });
  assert.equal(steps, 1);
});
