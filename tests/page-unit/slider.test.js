// The slider: how hands and keys become levels, what is sent when, and what the service may move.

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { Slider } from "../../web/lights/slider.js";
import { FakeBrowser, FakeElement } from "./browser.js";

const HEIGHT = 400; // pixels: 4 to the percent

let browser;
let slider;
let section;
let track;
let input;
let shown;
let sent;
let starts;

/** A slider that is live and at `level`, and has sent nothing. */
function make(level = 40, more = {}) {
  browser = new FakeBrowser();
  track = new FakeElement({ offsetHeight: HEIGHT });
  input = new FakeElement();
  section = new FakeElement({}, { ".track": track, input });
  [shown, sent, starts] = [[], [], 0];
  // A time as after a while, not as just after the load.
  browser.advance(10_000);
  const on = { show: (level) => shown.push(level), send: (level) => sent.push(level), start: () => starts++ };
  slider = new Slider(section, Object.assign(on, more));
  slider.live = true;
  slider.receive(level);
  shown = [];
}

const press = (clientY = 200, more = {}) => track.fire("pointerdown", { pointerId: 1, button: 0, clientY, ...more });
const move = (clientY, pointerId = 1) => track.fire("pointermove", { pointerId, clientY });
const release = (clientY, pointerId = 1) => track.fire("pointerup", { pointerId, clientY });
const key = (name, more = {}) => input.fire("keydown", { key: name, ...more });
const wheel = (deltaY, more = {}) => track.fire("wheel", { deltaY, deltaMode: 0, ...more });

beforeEach(() => make());

test("a touch alone changes nothing, wherever on the track it is", () => {
  press(10);
  move(10);
  release(10);
  browser.frame();
  assert.deepEqual([shown, sent], [[], []]);
  assert.equal(starts, 1);
  assert.equal(input.focused, true);
  assert.equal(track.captured, 1);
});

test("a drag moves the level by its share of the track's height", () => {
  press(200);
  move(160);
  assert.equal(slider.level, 50);
  move(320);
  assert.equal(slider.level, 10);
});

test("parts of a percent add up, and the level stays whole", () => {
  press(200);
  for (const y of [199, 198, 197, 196, 195]) move(y);
  assert.deepEqual(shown, [41]);
  move(194);
  assert.deepEqual(shown, [41, 42]);
});

test("past the end the level turns back with the finger at once", () => {
  press(200);
  move(-300);
  assert.equal(slider.level, 100);
  move(-296);
  assert.equal(slider.level, 99);
  move(900);
  assert.equal(slider.level, 0);
  move(896);
  assert.equal(slider.level, 1);
});

test("a level in tenths starts a drag where it is", () => {
  make(40.4);
  press(200);
  move(199);
  assert.deepEqual(shown, [41]);
});

test("a second finger neither moves nor ends the drag", () => {
  press(200);
  press(100, { pointerId: 2 });
  move(0, 2);
  release(0, 2);
  assert.equal(slider.dragging, true);
  assert.equal(slider.level, 40);
  assert.equal(starts, 1);
});

test("other buttons of a mouse drag nothing", () => {
  press(200, { button: 2 });
  move(100);
  assert.equal(slider.dragging, false);
  assert.deepEqual(shown, []);
});

for (const end of ["pointerup", "pointercancel", "lostpointercapture"])
  test(`a drag ends with ${end}, and its last level is sent without waiting for a frame`, () => {
    press(200);
    move(160);
    assert.equal(section.classes.has("dragging"), true);
    track.fire(end, { pointerId: 1, clientY: 160 });
    assert.equal(slider.dragging, false);
    assert.equal(section.classes.has("dragging"), false);
    assert.deepEqual(sent, [50]);
    browser.advance(1000);
    assert.deepEqual(sent, [50]);
  });

test("where the finger leaves the track counts, also without a move before", () => {
  press(200);
  release(160);
  assert.deepEqual(sent, [50]);
});

test("each level is shown at once, and of those of one frame the newest is sent", () => {
  press(200);
  for (const y of [196, 192, 188]) move(y);
  assert.deepEqual(shown, [41, 42, 43]);
  assert.deepEqual(sent, []);
  assert.equal(browser.pending, 1);
  browser.frame();
  assert.deepEqual(sent, [43]);
  move(184);
  browser.frame();
  assert.deepEqual(sent, [43, 44]);
});

test("a level that the service has already is not sent", () => {
  press(200);
  move(160);
  move(200);
  browser.frame();
  release(200);
  assert.deepEqual(shown, [50, 40]);
  assert.deepEqual(sent, []);
});

test("a level that was sent can be taken back", () => {
  press(200);
  move(160);
  browser.frame();
  move(200);
  browser.frame();
  assert.deepEqual(sent, [50, 40]);
});

test("an idle slider requests no frame", () => {
  press(200);
  move(160);
  release(160);
  browser.advance(1000);
  assert.equal(browser.pending, 0);
});

test("with an interval no two levels are sent closer together, and the last is never lost", () => {
  const times = [];
  make(40, { interval: 33, send: (level) => times.push([browser.now, level]) });
  press(200);
  for (let y = 199; y >= 40; y--) {
    move(y);
    browser.advance(4);
  }
  browser.advance(100);
  assert.equal(times.at(-1)[1], 80);
  assert.ok(times.length >= 10, `${times.length} levels sent`);
  for (let n = 1; n < times.length; n++) assert.ok(times[n][0] - times[n - 1][0] >= 33, `${times}`);
});

test("a hidden page, which gets no frames, sends at once", () => {
  press(200);
  move(160);
  browser.setHidden(true);
  assert.deepEqual(sent, [50]);
  key("ArrowUp");
  release(120);
  assert.deepEqual(sent, [50, 60]);
  key("ArrowUp");
  assert.deepEqual(sent, [50, 60, 61]);
});

test("a level of the service is shown at once while nobody drags", () => {
  slider.receive(70);
  assert.deepEqual(shown, [70]);
  assert.deepEqual(sent, []);
});

test("a level of the service does not move the slider under a thumb, but is shown after the drag", () => {
  press(200);
  slider.receive(70);
  slider.receive(75);
  assert.deepEqual(shown, []);
  release(200);
  assert.deepEqual(shown, [75]);
  assert.deepEqual(sent, []);
});

test("a level of the service that came before one that is sent is dropped", () => {
  press(200);
  slider.receive(70);
  move(160);
  release(160);
  browser.advance(1000);
  assert.equal(slider.level, 50);
  assert.deepEqual(sent, [50]);
});

test("a level of the service that came after the last one sent is shown after the drag", () => {
  press(200);
  move(160);
  browser.frame();
  slider.receive(70);
  release(160);
  assert.deepEqual(sent, [50]);
  assert.equal(slider.level, 70);
});

test("a level of the service waits for a change by key that is not sent yet, and gives way to it", () => {
  key("ArrowUp");
  slider.receive(70);
  assert.equal(slider.level, 41);
  browser.frame();
  assert.equal(slider.level, 41);
  assert.deepEqual(sent, [41]);
});

test("after a level of the service the one before it can be set again", () => {
  press(200);
  move(160);
  release(160);
  slider.receive(70);
  for (let n = 0; n < 20; n++) key("ArrowDown");
  browser.frame();
  assert.deepEqual(sent, [50, 50]);
});

test("without a connection nothing moves", () => {
  slider.live = false;
  press(200);
  move(100);
  key("ArrowUp");
  wheel(-100);
  slider.setByMaster(80);
  assert.deepEqual([shown, sent, starts], [[], [], 0]);
});

test("when the connection is lost the drag ends, and what was not sent is dropped", () => {
  press(200);
  move(160);
  slider.live = false;
  assert.equal(slider.dragging, false);
  assert.equal(section.classes.has("dragging"), false);
  slider.live = true;
  slider.receive(20);
  browser.advance(1000);
  assert.deepEqual(sent, []);
  assert.equal(slider.level, 20);
});

test("a level of the service that waited for the end of the drag is dropped with the connection", () => {
  press(200);
  slider.receive(70);
  slider.live = false;
  slider.live = true;
  press(200);
  release(200);
  assert.equal(slider.level, 40);
});

for (const [name, level] of Object.entries({
  ArrowUp: 41, ArrowRight: 41, ArrowDown: 39, ArrowLeft: 39, PageUp: 50, PageDown: 30, Home: 0, End: 100,
}))
  test(`${name} sets 40 to ${level}`, () => {
    assert.equal(key(name), true);
    assert.equal(slider.level, level);
    browser.frame();
    assert.deepEqual(sent, [level]);
  });

test("keys of the browser and other keys are left alone", () => {
  for (const modifier of ["ctrlKey", "altKey", "metaKey"]) assert.equal(key("ArrowUp", { [modifier]: true }), false);
  assert.equal(key("Tab"), false);
  assert.equal(slider.level, 40);
});

test("keys do not pull at a level that a finger holds", () => {
  press(200);
  assert.equal(key("ArrowUp"), true);
  assert.equal(slider.level, 40);
});

test("steps keep tenths, without the errors of binary fractions", () => {
  make(40.3);
  for (let n = 0; n < 3; n++) key("ArrowUp");
  assert.equal(slider.level, 43.3);
  make(0.1);
  slider.step(0.2);
  assert.equal(slider.level, 0.3);
});

test("20 pixels of wheel are a percent, and parts add up", () => {
  assert.equal(wheel(-30), true);
  assert.equal(slider.level, 41);
  wheel(-10);
  assert.equal(slider.level, 42);
  wheel(50);
  assert.equal(slider.level, 40);
});

test("a wheel that counts in lines has 33 pixels to the line", () => {
  wheel(-3, { deltaMode: 1 });
  assert.equal(slider.level, 44);
});

test("a pinch is left to the browser, and a wheel during a drag is ignored", () => {
  assert.equal(wheel(-100, { ctrlKey: true }), false);
  press(200);
  wheel(-100);
  assert.equal(slider.level, 40);
});

test("a screen reader that sets the input sets a whole level", () => {
  input.valueAsNumber = 62.4;
  input.fire("input");
  browser.frame();
  assert.deepEqual(sent, [62]);
});

test("the phone ticks at 0, 50 and 100, once each time", () => {
  press(200);
  move(164);
  assert.deepEqual(browser.vibrations, []);
  move(160);
  assert.equal(browser.vibrations.length, 1);
  move(156);
  assert.equal(browser.vibrations.length, 1);
  move(164);
  assert.equal(browser.vibrations.length, 2);
  move(-100);
  assert.equal(browser.vibrations.length, 3);
  move(-101);
  assert.equal(browser.vibrations.length, 3);
  move(900);
  assert.equal(browser.vibrations.length, 4);
});

test("the phone does not tick before the browser allows it", () => {
  navigator.userActivation.hasBeenActive = false;
  press(200);
  move(0);
  assert.deepEqual(browser.vibrations, []);
});

test("the master moves the slider and sends at once, but not under a thumb", () => {
  slider.setByMaster(80);
  assert.deepEqual([shown, sent], [[80], [80]]);
  press(200);
  slider.setByMaster(90);
  assert.deepEqual([slider.level, sent], [80, [80]]);
});

test("a level of the master takes the place of one that waits for its frame", () => {
  key("ArrowUp");
  slider.setByMaster(80);
  browser.frame();
  assert.deepEqual(sent, [80]);
});
