// The slider: how hands and keys become levels, what is sent when, and what the service may move.

import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import { Slider, levelAt, placeOf } from "../../web/lights/slider.js";
import { FakeBrowser, FakeElement } from "./browser.js";

// Pixels: without the grip 480, which is 4 to the percent from 10 percent on, and 12 below.
const HEIGHT = 508;

let browser = new FakeBrowser();
const { showInTurn } = await import("../../web/lights/master.js");
let slider;
let section;
let track;
let input;
let shown;
let sent;
let glides;
let starts;

/** A slider that is live and at `level`, and has sent nothing. */
function make(level = 40, more = {}) {
  browser = new FakeBrowser();
  track = new FakeElement({ offsetHeight: HEIGHT, box: { left: 0, top: 0, right: 100, bottom: HEIGHT, height: HEIGHT } });
  input = new FakeElement();
  section = new FakeElement({}, { ".track": track, input });
  [shown, sent, glides, starts] = [[], [], [], 0];
  // A time as after a while, not as just after the load.
  browser.advance(10_000);
  const send = (level, glide) => {
    sent.push(level);
    glides.push(glide);
  };
  const on = { move() {}, show: (level) => shown.push(level), send, start: () => starts++ };
  slider = new Slider(section, Object.assign(on, more));
  slider.live = true;
  slider.receive(level);
  shown = [];
}

const press = (clientY = 200, more = {}) =>
  track.fire("pointerdown", { pointerId: 1, button: 0, clientX: 50, clientY, ...more });
const move = (clientY, pointerId = 1, clientX = 50) => track.fire("pointermove", { pointerId, clientX, clientY });
const release = (clientY, pointerId = 1) => track.fire("pointerup", { pointerId, clientX: 50, clientY });
/** A drag that has begun, and has its origin here. */
const grab = (clientY = 200) => {
  press(clientY + 20);
  move(clientY);
};
const key = (name, more = {}) => input.fire("keydown", { key: name, ...more });
const wheel = (deltaY, more = {}) => track.fire("wheel", { deltaY, deltaMode: 0, ...more });

beforeEach(() => make());

// What is to be shown in turns is kept by the module, for all sliders.
afterEach(() => {
  browser.document.hidden = false;
  while (browser.pending) browser.frame();
});

test("a tap glides to the level under the finger, which gets the middle of the grip", () => {
  press(14);
  assert.deepEqual([shown, sent], [[], []]);
  release(14);
  assert.deepEqual([shown, sent, glides], [[100], [100], [0.4]]);
  press(HEIGHT - 14 - 120);
  release(HEIGHT - 14 - 120);
  assert.equal(slider.level, 10);
  press(HEIGHT);
  release(HEIGHT);
  assert.equal(slider.level, 0);
  assert.equal(starts, 3);
  assert.equal(input.focused, true);
  assert.equal(track.captured, 1);
});

test("a drag begins where it has become one, so that nothing jumps", () => {
  press(200);
  move(180);
  assert.equal(slider.dragging, true);
  assert.deepEqual(shown, []);
  move(176);
  assert.deepEqual(shown, [41]);
});

test("below 10 percent a level is in tenths and has more of the track", () => {
  make(10);
  grab(200);
  move(212);
  assert.equal(slider.level, 9);
  move(213.2);
  assert.equal(slider.level, 8.9);
  move(200 + 120 - 1.2);
  assert.equal(slider.level, 0.1);
});

test("every place on the track has a level, and every level a place of its own", () => {
  let before = -1;
  for (let tenths = 0; tenths <= 1000; tenths++) {
    const place = placeOf(tenths / 10);
    assert.ok(place > before && place <= 1, `${tenths}`);
    before = place;
    assert.ok(Math.abs(levelAt(place) - tenths / 10) < (tenths < 100 ? 0.01 : 0.51), `${tenths}`);
  }
});

test("a drag with the thumb beside the track is finer", () => {
  grab(200);
  move(160, 1, 100);
  assert.equal(slider.level, 50);
  // 60 pixels beside it, half as fast.
  move(120, 1, 160);
  assert.equal(slider.level, 55);
  move(80, 1, -120);
  assert.equal(slider.level, 58);
});

test("a drag that the browser takes away goes back to where it began", () => {
  for (const end of ["pointercancel", "lostpointercapture"]) {
    make();
    grab(200);
    move(160);
    browser.frame();
    track.fire(end, { pointerId: 1 });
    assert.deepEqual(sent, [50, 40]);
    assert.equal(slider.level, 40);
    assert.equal(section.classes.has("dragging"), false);
    assert.equal(browser.pending, 0);
  }
});

test("from the touch on the level stays where it is, until the finger turns out to do something else", () => {
  press(200);
  slider.receive(70);
  assert.deepEqual(shown, []);
  move(200, 1, 80);
  assert.deepEqual(shown, [70]);
});

test("a drag that was taken away sends nothing if it has sent nothing", () => {
  grab(200);
  move(160);
  track.fire("pointercancel", { pointerId: 1 });
  assert.deepEqual([slider.level, sent], [40, []]);
});

test("a drag that was taken away leaves what somebody else has set since", () => {
  grab(200);
  move(160);
  browser.frame();
  slider.receive(70);
  move(120);
  track.fire("pointercancel", { pointerId: 1 });
  browser.advance(1000);
  assert.deepEqual([slider.level, sent], [70, [50]]);
});

test("a drag moves the level by its share of the track's height", () => {
  grab(200);
  move(160);
  assert.equal(slider.level, 50);
  move(320);
  assert.equal(slider.level, 10);
});

test("parts of a percent add up, and the level stays whole", () => {
  grab(200);
  for (const y of [199, 198, 197, 196, 195]) move(y);
  assert.deepEqual(shown, [41]);
  move(193);
  assert.deepEqual(shown, [41, 42]);
});

test("past the end the level turns back with the finger at once", () => {
  grab(200);
  move(-300);
  assert.equal(slider.level, 100);
  move(-296);
  assert.equal(slider.level, 99);
  move(900);
  assert.equal(slider.level, 0);
  move(896.4);
  assert.equal(slider.level, 0.3);
});

test("a level in tenths starts a drag where it is", () => {
  make(40.4);
  grab(200);
  move(199);
  assert.deepEqual(shown, [41]);
});

test("a second finger neither moves nor ends the drag", () => {
  grab(200);
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

test("a drag ends with its last level, which is sent without waiting for a frame", () => {
  grab(200);
  move(160);
  assert.equal(section.classes.has("dragging"), true);
  release(160);
  assert.equal(slider.dragging, false);
  assert.equal(section.classes.has("dragging"), false);
  assert.deepEqual(sent, [50]);
  browser.advance(1000);
  assert.deepEqual(sent, [50]);
});

test("where the finger leaves the track counts, also without a move before", () => {
  grab(200);
  release(160);
  assert.deepEqual(sent, [50]);
});

test("each level is shown at once, and of those of one frame the newest is sent", () => {
  grab(200);
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
  grab(200);
  move(160);
  move(200);
  browser.frame();
  release(200);
  assert.deepEqual(shown, [50, 40]);
  assert.deepEqual(sent, []);
});

test("a level that was sent can be taken back", () => {
  grab(200);
  move(160);
  browser.frame();
  move(200);
  browser.frame();
  assert.deepEqual(sent, [50, 40]);
});

test("an idle slider requests no frame", () => {
  grab(200);
  move(160);
  release(160);
  browser.advance(1000);
  assert.equal(browser.pending, 0);
});

test("with an interval no two levels are sent closer together, and the last is never lost", () => {
  const times = [];
  make(40, { interval: 33, send: (level) => times.push([browser.now, level]) });
  grab(200);
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
  grab(200);
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
  grab(200);
  slider.receive(70);
  slider.receive(75);
  assert.deepEqual(shown, []);
  release(200);
  assert.deepEqual(shown, [75]);
  assert.deepEqual(sent, []);
});

test("a level of the service that came before one that is sent is dropped", () => {
  grab(200);
  slider.receive(70);
  move(160);
  release(160);
  browser.advance(1000);
  assert.equal(slider.level, 50);
  assert.deepEqual(sent, [50]);
});

test("a level of the service that came after the last one sent is shown after the drag", () => {
  grab(200);
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
  grab(200);
  move(160);
  release(160);
  slider.receive(70);
  for (let n = 0; n < 20; n++) key("ArrowDown");
  browser.frame();
  assert.deepEqual(sent, [50, 50]);
});

test("without a connection nothing moves", () => {
  slider.live = false;
  grab(200);
  move(100);
  key("ArrowUp");
  wheel(-100);
  slider.setByMaster(80);
  assert.deepEqual([shown, sent, starts], [[], [], 0]);
});

test("when the connection is lost the drag ends, and what was not sent is dropped", () => {
  grab(200);
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
  grab(200);
  slider.receive(70);
  slider.live = false;
  slider.live = true;
  grab(200);
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

test("a wheel that can scroll the page scrolls it", () => {
  browser.document.documentElement.scrollHeight = 1000;
  assert.equal(wheel(-100), false);
  assert.deepEqual(shown, []);
});

test("a level that steps have led away from is set again, whatever the service has answered", () => {
  slider.goBack(40);
  assert.deepEqual(sent, [40]);
});

test("keys of the browser and other keys are left alone", () => {
  for (const modifier of ["ctrlKey", "altKey", "metaKey"]) assert.equal(key("ArrowUp", { [modifier]: true }), false);
  assert.equal(key("Tab"), false);
  assert.equal(slider.level, 40);
});

test("keys do not pull at a level that a finger holds", () => {
  grab(200);
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
  grab(200);
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
  grab(200);
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
  grab(200);
  move(0);
  assert.deepEqual(browser.vibrations, []);
});

test("the master moves the slider and sends at once, but not under a thumb", () => {
  slider.setByMaster(80);
  assert.deepEqual([slider.level, sent], [80, [80]]);
  grab(200);
  slider.setByMaster(90);
  assert.deepEqual([slider.level, sent], [80, [80]]);
});

test("of many lights that the master moves a few are shown in each frame, and all in the end", () => {
  const shows = [], moves = [];
  const sliders = Array.from({ length: 16 }, (_, n) => {
    const show = (level, isPassing = false) => shows.push([n, level, isPassing]);
    const one = new Slider(section, { move: (level) => moves.push([n, level]), show, send() {}, start() {} });
    one.live = true;
    return one;
  });
  const set = (one, level) => one.setByMaster(level) && showInTurn(one.turn);
  for (const one of sliders) set(one, 30);
  for (const one of sliders.slice(8)) set(one, 20);
  assert.deepEqual([shows, moves], [[], []]);
  browser.frame();
  assert.deepEqual([shows.length, moves.length], [1, 8]);
  // That in which the master sends again.
  browser.frame();
  assert.deepEqual([shows.length, moves.length], [1, 16]);
  for (const count of [2, 3, 4]) {
    browser.frame();
    assert.equal(shows.length, count);
  }
  while (browser.pending) browser.frame();
  assert.deepEqual(moves, sliders.map((_, n) => [n, n < 8 ? 30 : 20]));
  assert.deepEqual(shows.filter(([, , isPassing]) => isPassing).map(([n]) => n), [...sliders.keys()]);
  const last = new Map(shows.map(([n, level, isPassing]) => [n, [level, isPassing]]));
  assert.deepEqual([...last.values()], sliders.map((_, n) => [n < 8 ? 30 : 20, false]));
});

test("a level of the master takes the place of one that waits for its frame", () => {
  key("ArrowUp");
  slider.setByMaster(80);
  browser.frame();
  assert.deepEqual(sent, [80]);
});
