// What the sheet shows of the service itself.

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { FakeBrowser, FakeElement } from "./browser.js";

let browser = new FakeBrowser();
const { Service } = await import("../../web/sheet/service.js");

let list;
let out;
let shown;
let hub;
let service;

/** The texts of an item of the list. */
const texts = (item) => item.appended[0].appended.map((part) => part.textContent ?? part);

beforeEach(() => {
  browser = new FakeBrowser();
  browser.document.createElement = () => new FakeElement();
  shown = [];
  list = new FakeElement({ hidden: true, replaceChildren: (...items) => (shown = items.map(texts)) });
  out = new FakeElement();
  hub = { lights: new Map([["desk", { title: "Desk lamp" }]]), canLogOut: false };
  const children = { ul: list, ".out": out, ".restore": new FakeElement(), input: new FakeElement() };
  service = new Service(new FakeElement({}, children), hub);
});

const LED = { name: "led", gpio: 21, pin: 40, driver: "software-pwm", frequency: 200, advice: [] };

test("what drives each light is shown, with the advice of the doctor", async () => {
  const gone = { ...LED, name: "gone", gpio: 5, pin: null, driver: "simulated", frequency: 1000 };
  const desk = { ...LED, name: "desk", fallback: "permission denied", advice: [{ kind: "better", text: "do this" }] };
  browser.answer = { status: 200, body: { machine: null, lights: [desk, gone] } };
  await service.open();
  assert.deepEqual(browser.requests, ["GET api/doctor"]);
  assert.deepEqual(shown, [
    [
      "Desk lamp: pin 40 (GPIO 21)", "A thread of the service switches the pin: simple, may flicker a little",
      "software-pwm, 200 Hz", "Desk lamp runs on software PWM: permission denied", "dimmer doctor advises:", "do this",
    ],
    ["gone: GPIO 5", "No pin is driven", "simulated, 1000 Hz"],
  ]);
  assert.equal(list.hidden, false);
});

test("a driver that this page does not know is named all the same", async () => {
  browser.answer = { status: 200, body: { lights: [{ ...LED, driver: "laser" }] } };
  await service.open();
  assert.deepEqual(shown, [["led: pin 40 (GPIO 21)", "", "laser, 200 Hz"]]);
});

test("without an answer nothing is shown", async () => {
  for (const answer of [null, { status: 503, body: { error: "no" } }]) {
    browser.answer = answer;
    await service.open();
    assert.deepEqual([shown, list.hidden], [[], true]);
  }
});

test("who has logged in can log out, which leads to the login", async () => {
  service.draw();
  assert.equal(out.hidden, true);
  hub.canLogOut = true;
  service.draw();
  assert.equal(out.hidden, false);
  browser.answer = { status: 200, body: {} };
  out.fire("click");
  await new Promise(setImmediate);
  assert.deepEqual([browser.requests, browser.reloads], [["POST logout"], 1]);
});
