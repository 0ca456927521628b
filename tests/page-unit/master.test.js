// The slider for all lights: how it scales them, and what ends a gesture.

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { FakeBrowser, FakeElement } from "./browser.js";

let browser = new FakeBrowser();
const { Light } = await import("../../web/lights/light.js");
const { Master, scaled } = await import("../../web/lights/master.js");

// Pixels: without the grip 480, which is 4 to the percent from 10 percent on.
const HEIGHT = 508;
const PARTS = ["input", ".lamp", ".name", ".digits", ".unit", ".doing", ".more", ".less", ".track", ".slide", ".glow", ".lit", ".lamp svg"];

let lights;
let master;
let sent;
/** Of each message: how many changes were sent before. */
let messages;

/** What index.html has as the template of a light. */
function section() {
  const parts = Object.fromEntries(PARTS.map((selector) => [selector, new FakeElement({ offsetHeight: HEIGHT })]));
  const element = new FakeElement({}, parts);
  element.contains = (other) => other === element || Object.values(parts).includes(other);
  return element;
}

/** Lights at these levels, which the service has sent, and the master over them. */
function make(...levels) {
  browser = new FakeBrowser();
  browser.advance(10_000);
  globalThis.Node = FakeElement;
  browser.document.querySelector = (selector) =>
    selector.startsWith("#") ? { content: { querySelector: section } } : null;
  browser.document.importNode = (make) => make;
  browser.document.createElement = () => new FakeElement();
  sent = [];
  messages = [];
  lights = levels.map((level, n) => {
    const changed = () => master?.update();
    const send = (change) => sent.push([n, change]);
    const light = new Light({ send, changed, start() {}, busy: () => false });
    light.live = true;
    light.update({ level });
    return light;
  });
  const connection = {
    probeInUse() {},
    isPending: () => false,
    set gathered(changes) {
      if (changes) messages.push(sent.length);
    },
  };
  master = new Master(() => lights, connection);
  master.light.live = true;
  master.update();
}

const shown = () => lights.map(({ slider }) => slider.level);
const track = () => master.light.section.querySelector(".track");
const move = (clientY) => {
  track().fire("pointermove", { pointerId: 1, clientX: 50, clientY });
  browser.advance(100);
};
/** Begins a drag with its origin here. */
const press = (clientY = 200) => {
  track().fire("pointerdown", { pointerId: 1, button: 0, clientX: 50, clientY: clientY + 20 });
  move(clientY);
};
const release = (clientY) => track().fire("pointerup", { pointerId: 1, clientX: 50, clientY });
const key = (key) => {
  master.light.section.querySelector("input").fire("keydown", { key });
  browser.advance(100);
};

beforeEach(() => make(80, 40, 0));

test("the master shows the highest level", () => {
  assert.equal(master.light.slider.level, 80);
  lights[1].update({ level: 90 });
  assert.equal(master.light.slider.level, 90);
});

test("a drag to the bottom and back leaves the lights as they were", () => {
  press(100);
  move(800);
  assert.deepEqual(shown(), [0, 0, 0]);
  move(560);
  assert.deepEqual(shown(), [40, 20, 0]);
  move(400);
  assert.deepEqual(shown(), [80, 40, 0]);
  release(400);
});

test("each light is sent its own level", () => {
  press(100);
  move(260);
  release(260);
  assert.deepEqual(sent, [[0, { level: 40 }], [1, { level: 20 }]]);
});

test("the next drag scales what the last one left", () => {
  press(100);
  move(260);
  release(260);
  press(100);
  move(180);
  release(180);
  assert.deepEqual(shown(), [20, 10, 0]);
});

test("a drag from 0, after another has ended there, brings back what was on", () => {
  press(100);
  move(800);
  release(800);
  press(800);
  move(680);
  release(680);
  assert.deepEqual(shown(), [10, 5, 0]);
});

test("the master does not jump while the lights are set one by one", () => {
  make(40, 80);
  const levels = [];
  const set = () => levels.push(master.light.slider.level);
  for (const { section } of [...lights, master.light])
    Object.defineProperty(section.querySelector(".slide").style, "transform", { set });
  key("PageDown");
  assert.deepEqual(shown(), [35, 70]);
  assert.deepEqual(new Set(levels), new Set([70]));
});

test("the buttons of the master scale, too", () => {
  const button = master.light.section.querySelector(".more");
  button.fire("pointerdown", { pointerId: 1, button: 0, clientX: 0, clientY: 0 });
  button.fire("pointerup", { pointerId: 1, clientX: 0, clientY: 0 });
  browser.advance(100);
  assert.deepEqual(shown(), [81, 40.5, 0]);
});

test("a drag that the browser takes away leaves each light as it was", () => {
  make(80, 33.3, 0);
  press(100);
  move(260);
  track().fire("pointercancel", { pointerId: 1 });
  assert.deepEqual(shown(), [80, 33.3, 0]);
  assert.deepEqual(sent.slice(-2), [[0, { level: 80 }], [1, { level: 33.3 }]]);
});

test("a hold of a button that the browser takes away leaves each light as it was", () => {
  const button = master.light.section.querySelector(".more");
  button.fire("pointerdown", { pointerId: 1, button: 0, clientX: 0, clientY: 0 });
  browser.advance(1000);
  assert.ok(shown()[0] > 85);
  button.fire("pointercancel", { pointerId: 1 });
  assert.deepEqual(shown(), [80, 40, 0]);
});

test("keys are one gesture, so that the lights come back from 0 as well", () => {
  key("Home");
  assert.deepEqual(shown(), [0, 0, 0]);
  for (let n = 0; n < 8; n++) key("PageUp");
  assert.deepEqual(shown(), [80, 40, 0]);
});

test("another client's change ends a gesture of keys, and the next key scales what is there", () => {
  key("PageDown");
  assert.deepEqual(shown(), [70, 35, 0]);
  lights[2].update({ level: 70 });
  key("PageDown");
  assert.deepEqual(shown(), [60, 30, 60]);
});

test("another client's change does not end a drag", () => {
  press(100);
  move(260);
  lights[2].update({ level: 30 });
  move(100);
  release(100);
  assert.deepEqual(shown(), [80, 40, 0]);
});

test("a gesture of keys ends when the focus leaves the master, not when it moves within", () => {
  const { section } = master.light;
  key("Home");
  section.fire("focusout", { relatedTarget: section.querySelector(".more") });
  key("PageUp");
  assert.deepEqual(shown(), [10, 5, 0]);
  key("Home");
  section.fire("focusout", { relatedTarget: null });
  key("PageUp");
  assert.deepEqual(shown(), [10, 5, 0]);
  section.fire("focusout", { relatedTarget: null });
  key("PageUp");
  lights[2].update({ level: 60 });
  key("PageUp");
  assert.deepEqual(shown(), [23.3, 11.7, 70]);
});

const lamp = () => master.light.section.querySelector(".lamp");
const doing = () => master.light.section.querySelector(".doing").appended[0].textContent;

test("the lamp turns off what is on, and on again as it was", () => {
  lights[1].update({ level: 40, effect: "candle", speed: 2 });
  assert.deepEqual([lamp().attributes["aria-label"], doing()], ["All off", "2 on, up to 80 %"]);
  lamp().fire("click");
  assert.deepEqual(sent.splice(0), [0, 1].map((n) => [n, { on: false }]));
  for (const light of lights) light.update({ level: 0 });
  assert.deepEqual([lamp().attributes["aria-label"], doing()], ["Undo", "Off"]);
  lamp().fire("click");
  assert.deepEqual(sent, [[0, { level: 80 }], [1, { effect: "candle", speed: 2 }]]);
});

test("what a drag has turned off can be undone, too", () => {
  press(100);
  move(800);
  release(800);
  assert.equal(lamp().attributes["aria-label"], "Undo");
  sent = [];
  lamp().fire("click");
  assert.deepEqual(sent, [[0, { level: 80 }], [1, { level: 40 }]]);
});

test("a light that has gone is no part of the undo", () => {
  lamp().fire("click");
  for (const light of lights) light.update({ level: 0 });
  lights.splice(1);
  sent = [];
  lamp().fire("click");
  assert.deepEqual(sent, [[0, { level: 80 }]]);
});

test("there is nothing to undo once somebody else has turned a light on", () => {
  lamp().fire("click");
  for (const light of lights) light.update({ level: 0 });
  lights[2].update({ level: 20 });
  lights[2].update({ level: 0 });
  sent = [];
  assert.equal(lamp().attributes["aria-label"], "All on");
  lamp().fire("click");
  assert.deepEqual(sent, [0, 1, 2].map((n) => [n, { on: true }]));
});

test("all lights go into one message, of which there is one in 33 ms at most", () => {
  make(...Array(60).fill(50));
  press(200);
  // A new level every 8 ms.
  for (let n = 0; n < 400; n++) {
    track().fire("pointermove", { pointerId: 1, clientX: 50, clientY: 200 - (n % 80) * 2 });
    browser.advance(4);
  }
  assert.ok(messages.length > 20 && messages.length <= 1600 / 33 + 1, `${messages.length}`);
  assert.deepEqual(messages.slice(1).map((end, n) => end - messages[n]), Array(messages.length - 1).fill(60));
});

test("a light that does not move is not in the message", () => {
  press(100);
  move(260);
  release(260);
  assert.deepEqual([messages.length, sent.map(([n]) => n)], [1, [0, 1]]);
});

test("all off, undo and all on are one message each", () => {
  const click = () => {
    messages.length = sent.length = 0;
    lamp().fire("click");
    return [messages, sent.map(([n]) => n)];
  };
  assert.deepEqual(click(), [[0], [0, 1]]);
  for (const light of lights) light.update({ level: 0 });
  assert.deepEqual(click(), [[0], [0, 1]]);
  make(0, 0);
  assert.deepEqual(click(), [[0], [0, 1]]);
});

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
