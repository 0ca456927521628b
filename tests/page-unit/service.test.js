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

beforeEach(() => {
  browser = new FakeBrowser();
  browser.document.createElement = () => new FakeElement();
  shown = [];
  list = new FakeElement({ hidden: true, replaceChildren: (...items) => (shown = items.map(({ textContent }) => textContent)) });
  out = new FakeElement();
  hub = { lights: new Map([["desk", { title: "Desk lamp" }]]), canLogOut: false };
  const children = { ul: list, ".out": out, ".restore": new FakeElement(), input: new FakeElement() };
  service = new Service(new FakeElement({}, children), hub);
});

test("a light that runs on another driver than was meant is named, with the reason", async () => {
  const fallbacks = [{ name: "desk", reason: "kernel-pwm: permission denied" }, { name: "gone", reason: "no" }];
  browser.answer = { status: 503, body: { healthy: false, fallbacks } };
  await service.open();
  assert.deepEqual(shown, ["Desk lamp runs on software PWM: kernel-pwm: permission denied", "gone runs on software PWM: no"]);
  assert.equal(list.hidden, false);
  // The driver works after a restart.
  browser.answer = { status: 200, body: { healthy: true } };
  await service.open();
  assert.deepEqual([shown, list.hidden], [[], true]);
});

test("without an answer nothing is shown", async () => {
  await service.open();
  assert.deepEqual([shown, list.hidden], [[], true]);
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
