// What a hand wants: a tap, a hold, a drag, or to scroll.

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { Gesture } from "../../web/lights/gesture.js";
import { FakeBrowser, FakeElement } from "./browser.js";

let browser;
let element;
let gesture;
let calls;
let allowed;

/** A gesture that keeps what it calls. */
function make(axis) {
  browser = new FakeBrowser();
  element = new FakeElement();
  [calls, allowed] = [[], true];
  const names = ["tap", "hold", "start", "end", "cancel"];
  gesture = new Gesture(element, {
    axis,
    begin: () => allowed,
    ...Object.fromEntries(names.map((name) => [name, () => calls.push(name)])),
    move: (pixels) => calls.push(Math.round(pixels * 100) / 100),
  });
}

const fire = (type, clientX, clientY, more = {}) =>
  element.fire(type, { pointerId: 1, button: 0, clientX, clientY, ...more });
const press = (x = 50, y = 50, more) => fire("pointerdown", x, y, more);
const move = (x, y, more) => fire("pointermove", x, y, more);
const release = (x, y, more) => fire("pointerup", x, y, more);
const taken = () => calls.splice(0);

/** A swipe of 100 pixels at this angle to the right, of which the browser takes what scrolls. */
function swipe(degrees) {
  const [right, up] = [Math.cos, Math.sin].map((part) => part((degrees * Math.PI) / 180));
  press();
  for (let way = 5; way <= 100; way += 5) move(50 + right * way, 50 - up * way);
  release(50 + right * 100, 50 - up * 100);
  return taken();
}

beforeEach(() => make("y"));

test("a touch is a tap when the finger is up, also if it trembles", () => {
  press();
  move(55, 54);
  assert.deepEqual(taken(), []);
  release(55, 54);
  assert.deepEqual(taken(), ["tap", "end"]);
});

test("a touch that rests is a hold after 400 ms, and then no tap", () => {
  press();
  browser.advance(399);
  assert.deepEqual(taken(), []);
  browser.advance(1);
  assert.deepEqual(taken(), ["hold"]);
  move(80, 80);
  release(80, 80);
  assert.deepEqual(taken(), ["end"]);
  assert.equal(element.fire("touchend"), true, "it clicks nothing");
  press();
  release(50, 50);
  assert.equal(element.fire("touchend"), false);
});

for (const angle of [0, 5, 10, 20, 30, 40, 44])
  test(`a swipe at ${angle}° is no drag along the vertical axis, but one along the horizontal`, () => {
    assert.deepEqual(swipe(angle), ["end"]);
    make("x");
    const calls = swipe(angle);
    assert.deepEqual([calls[0], calls.at(-1)], ["start", "end"]);
  });

for (const angle of [46, 50, 60, 70, 80, 90])
  test(`a swipe at ${angle}° is a drag along the vertical axis, and none along the horizontal`, () => {
    const calls = swipe(angle);
    assert.deepEqual([calls[0], calls.at(-1)], ["start", "end"]);
    make("x");
    assert.deepEqual(swipe(angle), ["end"]);
  });

test("without an axis no swipe is a drag", () => {
  make(undefined);
  for (let angle = 0; angle <= 90; angle += 10) assert.deepEqual(swipe(angle), ["end"], `${angle}°`);
});

test("what a hand has begun to do it goes on doing, wherever it goes", () => {
  press();
  move(50, 40);
  move(80, 40);
  move(80, 30);
  release(80, 30);
  assert.deepEqual(taken(), ["start", 0, 10, "end"]);
  press();
  move(60, 50);
  move(60, 10);
  browser.advance(1000);
  assert.deepEqual([taken(), gesture.active], [["end"], false]);
  release(60, 10);
  assert.deepEqual(taken(), []);
});

test("a mouse, which does not tremble, drags after 3 pixels", () => {
  const mouse = { pointerType: "mouse" };
  press(50, 50, mouse);
  move(50, 46, mouse);
  move(50, 45, mouse);
  release(50, 45, mouse);
  assert.deepEqual(taken(), ["start", 1, "end"]);
});

test("the farther a thumb is beside the element the finer the drag is", () => {
  press();
  move(50, 40);
  // The element ends at 100.
  move(160, 30);
  move(220, 24);
  move(-120, 18);
  assert.deepEqual(taken(), ["start", 5, 2, 2]);
});

for (const type of ["pointercancel", "lostpointercapture"])
  test(`${type} cancels a drag and a hold, and nothing else`, () => {
    press();
    fire(type);
    assert.deepEqual(taken(), ["end"]);
    press();
    move(50, 30);
    fire(type);
    assert.deepEqual(taken(), ["start", "cancel", "end"]);
    press();
    browser.advance(400);
    fire(type);
    assert.deepEqual(taken(), ["hold", "cancel", "end"]);
    press();
    release(50, 50);
    fire(type);
    assert.deepEqual(taken(), ["tap", "end"]);
  });

test("a second finger and other buttons of a mouse do nothing", () => {
  press(50, 50, { button: 2 });
  release(50, 50, { button: 2 });
  press();
  move(50, 40);
  press(20, 20, { pointerId: 2 });
  move(20, 80, { pointerId: 2 });
  release(20, 80, { pointerId: 2 });
  move(50, 30);
  release(50, 30);
  assert.deepEqual(taken(), ["start", 10, "end"]);
});

test("nothing begins where nothing is allowed, and what is dropped ends without a call", () => {
  allowed = false;
  press();
  release(50, 50);
  allowed = true;
  press();
  move(50, 40);
  gesture.drop();
  assert.equal(gesture.active, false);
  move(50, 30);
  release(50, 30);
  press();
  gesture.drop();
  browser.advance(1000);
  assert.deepEqual(taken(), ["start"]);
  assert.equal(browser.pending, 0);
});

test("a drag asks the browser not to scroll, unless it already does, of which browsers complain", () => {
  const asks = (cancelable) => {
    const event = new Event("touchmove", { cancelable });
    let asked = false;
    event.preventDefault = () => (asked = true);
    element.dispatchEvent(event);
    return asked;
  };
  press();
  assert.equal(asks(true), false);
  move(50, 40);
  assert.deepEqual([true, false].map(asks), [true, false]);
  release(50, 40);
  assert.equal(asks(true), false);
});
