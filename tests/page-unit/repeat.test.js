// The buttons for more and less light, which repeat while they are held.

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { repeatWhileHeld } from "../../web/lights/slider.js";
import { FakeBrowser, FakeElement } from "./browser.js";

let browser;
let button;
let steps;
let busy;
let cancels;

const press = (more = {}) => button.fire("pointerdown", { pointerId: 1, button: 0, clientX: 0, clientY: 0, ...more });
const leave = (type = "pointerup") => button.fire(type, { pointerId: 1, clientX: 0, clientY: 0 });

beforeEach(() => {
  browser = new FakeBrowser();
  button = new FakeElement({ disabled: false });
  [steps, busy, cancels] = [0, false, 0];
  repeatWhileHeld(button, { begin() {}, step: () => steps++, cancel: () => cancels++, busy: () => busy });
});

test("a tap is one step, once the finger is up", () => {
  press();
  assert.equal(steps, 0);
  leave();
  assert.equal(steps, 1);
  button.fire("click", { detail: 1 });
  browser.advance(5000);
  assert.equal(steps, 1);
});

test("a swipe that begins on the button steps nothing, however slow it is", () => {
  press();
  button.fire("pointermove", { pointerId: 1, clientX: 3, clientY: 9 });
  browser.advance(5000);
  leave();
  press();
  leave("pointercancel");
  assert.deepEqual([steps, cancels], [0, 0]);
});

test("a hold steps after 400 ms, and every 80 ms", () => {
  press();
  browser.advance(399);
  assert.equal(steps, 0);
  browser.advance(1);
  assert.equal(steps, 1);
  browser.advance(79);
  assert.equal(steps, 1);
  browser.advance(1);
  assert.equal(steps, 2);
  browser.advance(800);
  assert.equal(steps, 12);
});

for (const [end, taken] of [["pointerup", 0], ["pointercancel", 1], ["lostpointercapture", 1]])
  test(`a hold ends with ${end}${taken ? ", and is taken back" : ""}`, () => {
    press();
    browser.advance(1000);
    const before = steps;
    leave(end);
    browser.advance(1000);
    assert.deepEqual([steps, cancels], [before, taken]);
  });

test("on a slow network each fourth repeat is a step", () => {
  press();
  browser.advance(400);
  busy = true;
  browser.advance(80 * 8);
  assert.equal(steps, 3);
});

test("an answer brings the pace back", () => {
  press();
  browser.advance(400);
  busy = true;
  browser.advance(80 * 4);
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
  leave();
  press();
  browser.advance(399);
  assert.equal(steps, 1);
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
  browser.advance(480);
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
