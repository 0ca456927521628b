// The connection of the page: which levels it takes, when it tries again, when it probes the service.

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { Connection } from "../../web/connection.js";
import { FakeBrowser } from "./browser.js";

const HELLO = { hello: { version: "0.1.0", lights: [{ name: "led" }] } };
const PROBE = { echo: "alive" };

let browser = new FakeBrowser();
const { together } = await import("../../web/lights/master.js");
let connection;
/** What the handlers were called with, as `[kind, value]`. */
let calls;

const level = (light, value, seen) => ({ light, level: value, ...(seen === undefined ? {} : { seen }) });
const handled = (kind) => calls.filter(([name]) => name === kind).map(([, value]) => value);
const lights = () => handled("lights").flat();
const levels = () => lights().map((message) => message.level);
const states = () => handled("state");
/** The greeting, to which the page says that it takes several lights in one message. */
const greet = (socket = browser.socket) => {
  socket.receive(HELLO, level("led", 20));
  assert.deepEqual(socket.sent.shift(), { batch: true });
};
/** How long the next socket is waited for, to 1 ms and 10 s at most. */
function untilNextSocket() {
  const before = browser.sockets.length;
  for (let ms = 0; ms <= 10_000; ms++) {
    if (browser.sockets.length > before) return ms;
    browser.advance(1);
  }
  return Infinity;
}

beforeEach(() => {
  browser = new FakeBrowser();
  calls = [];
  const on = {};
  for (const kind of ["state", "hello", "lights", "presets", "pages", "error", "refused"])
    on[kind] = (value) => calls.push([kind, value]);
  connection = new Connection(on);
});

test("the socket is opened beside the page, encrypted where the page is", () => {
  assert.equal(browser.socket.url, "ws://pi.local:5000/ws");
  browser.document.baseURI = "https://pi.local/dimmer/";
  new Connection({});
  assert.equal(browser.socket.url, "wss://pi.local/dimmer/ws");
});

test("the page is live with the first message after the hello", () => {
  browser.socket.receive(HELLO);
  assert.deepEqual(calls, []);
  browser.socket.receive(level("led", 20));
  assert.deepEqual(calls.map(([kind]) => kind), ["hello", "state", "lights"]);
  assert.equal(connection.state, "live");
});

/** Lets what waits for an answer go on. */
const answered = () => new Promise((resolve) => setImmediate(resolve));

/** The connection fails this often, and the service is asked why. */
async function fail(times, code) {
  for (let failure = 0; failure < times; failure++) {
    browser.socket.onclose({ code });
    await answered();
    untilNextSocket();
  }
}

test("a refusal is asked for, and told by its code", async () => {
  for (const code of ["host", "origin", "max_pages", "max_pages_per_address"]) {
    browser.answer = { status: 403, body: { error: "no", code } };
    await fail(1);
    assert.equal(handled("refused").at(-1), code);
  }
  assert.deepEqual(new Set(browser.requests), new Set(["POST ws"]));
});

test("a password that has changed leads to the login", async () => {
  browser.answer = { status: 401, body: { error: "no", code: "password" } };
  await fail(1);
  assert.equal(browser.reloads, 1);
});

test("a service that lets the page in but opens no socket has a proxy in front", async () => {
  browser.answer = { status: 204 };
  await fail(2);
  assert.deepEqual(handled("refused"), [], "it may have been starting");
  await fail(1);
  assert.deepEqual(handled("refused"), ["upgrade"]);
});

test("a service that is not reached is stopped, away, or behind no network", async () => {
  await fail(3);
  assert.deepEqual(handled("refused"), ["unreachable"]);
  // A gateway without the service behind it answers in its own words.
  browser.answer = { status: 502, body: "<html>" };
  await fail(1);
  assert.equal(handled("refused").at(-1), "unreachable");
  browser.answer = null;
  navigator.onLine = false;
  await fail(1);
  assert.equal(handled("refused").at(-1), "offline");
  await fail(1, 1001);
  assert.equal(handled("refused").at(-1), "stopped");
});

test("an answer that comes when the page is live again says nothing", async () => {
  browser.answer = { status: 503, body: { error: "no", code: "max_pages" } };
  browser.socket.onclose({});
  untilNextSocket();
  greet();
  await answered();
  assert.deepEqual(handled("refused"), []);
});

test("each other message goes to the handler of its kind, and one without a handler is ignored", () => {
  greet();
  browser.socket.receive({ pages: 3 }, { selected: "led" }, { presets: ["Film"] }, { error: "no" });
  assert.deepEqual(handled("pages"), [3]);
  assert.deepEqual(handled("presets"), [["Film"]]);
  assert.deepEqual(handled("error"), ["no"]);
});

test("changes are numbered", () => {
  greet();
  connection.change("led", { level: 1 });
  connection.change("desk", { step: 2 });
  assert.deepEqual(browser.socket.sent, [{ level: 1, light: "led", seq: 1 }, { step: 2, light: "desk", seq: 2 }]);
});

test("a level that the service sent before it had handled the page's last change of that light is dropped", () => {
  greet();
  connection.change("led", { level: 1 });
  connection.change("led", { level: 2 });
  browser.socket.receive(level("led", 80), level("led", 81, 1));
  assert.deepEqual(levels(), [20]);
  browser.socket.receive(level("led", 82, 2));
  assert.deepEqual(levels(), [20, 82]);
  // From then on others' levels come without `seen`.
  browser.socket.receive(level("led", 83));
  assert.deepEqual(levels(), [20, 82, 83]);
});

test("a change of one light holds up the levels of no other", () => {
  greet();
  connection.change("led", { level: 1 });
  browser.socket.receive(level("desk", 80));
  assert.deepEqual(levels(), [20, 80]);
});

test("what is seen of one light counts for the changes of others that were sent before", () => {
  greet();
  connection.change("led", { level: 1 });
  connection.change("desk", { level: 2 });
  assert.equal(connection.isPending("led"), true);
  browser.socket.receive(level("desk", 2.5, 2));
  assert.equal(connection.isPending("led"), false);
  browser.socket.receive(level("led", 60));
  assert.deepEqual(levels(), [20, 2.5, 60]);
});

test("changes made together are one message under one number, the levels alone as numbers", () => {
  greet();
  together(connection, () => {
    connection.change("led", { level: 1 });
    connection.change("desk", { level: 2, transition: 0.4 });
    connection.change("shelf", { on: false });
    connection.change("door", { effect: "candle", speed: 2 });
  });
  together(connection, () => connection.change("led", { level: 3 }));
  together(connection, () => {});
  assert.deepEqual(browser.socket.sent, [
    {
      lights: {
        led: 1,
        desk: { level: 2, transition: 0.4 },
        shelf: { on: false },
        door: { effect: "candle", speed: 2 },
      },
      seq: 1,
    },
    { level: 3, light: "led", seq: 2 },
  ]);
});

test("changes made together never make a message that is too long for the service", () => {
  greet();
  const names = Array.from({ length: 92 }, (_, n) => `${"n".repeat(32)}/${"l".repeat(30)}${n + 10}`);
  together(connection, () => {
    for (const name of names) connection.change(name, { level: 33.3, transition: 0.4 });
  });
  const { sent } = browser.socket;
  assert.ok(sent.every((message) => JSON.stringify(message).length <= 4096));
  assert.deepEqual(sent.flatMap(({ lights }) => Object.keys(lights)), names);
  assert.deepEqual(sent.map(({ seq }) => seq), [1, 2, 3]);
  assert.ok(names.every((name) => connection.isPending(name)));
});

test("several lights in one message follow the same rule and are handled at once", () => {
  greet();
  together(connection, () => {
    connection.change("led", { level: 1 });
    connection.change("desk", { level: 2 });
  });
  browser.socket.receive({ lights: [level("led", 70), level("desk", 71), level("shelf", 72)] });
  assert.deepEqual(handled("lights").at(-1), [level("shelf", 72)]);
  const both = [level("led", 73), level("desk", 74)];
  browser.socket.receive({ lights: both, seen: 1 });
  assert.deepEqual(handled("lights").at(-1), both);
});

test("a lower `seen` takes nothing back", () => {
  greet();
  connection.change("led", { level: 1 });
  browser.socket.receive(level("led", 60, 1), level("led", 61, 0));
  assert.deepEqual(levels(), [20, 60, 61]);
});

test("lights of other dimmers follow the same rule, with the `seen` of their message", () => {
  greet();
  connection.change("attic/led", { level: 1 });
  browser.socket.receive({ fleet: [level("attic/led", 70), level("attic/desk", 71)] });
  assert.deepEqual(levels(), [20, 71]);
  browser.socket.receive({ fleet: [level("attic/led", 72)], seen: 1 });
  assert.deepEqual(levels(), [20, 71, 72]);
});

test("a light that is gone goes at once, whatever is pending", () => {
  greet();
  connection.change("attic/led", { level: 1 });
  browser.socket.receive({ fleet: [{ light: "attic/led", gone: true }] });
  assert.deepEqual(lights().at(-1), { light: "attic/led", gone: true });
});

test("a message about no light is sent without a number, and dropped without a connection", () => {
  connection.send({ save: "Film" });
  greet();
  connection.send({ recall: "Film" });
  assert.deepEqual(browser.socket.sent, [{ recall: "Film" }]);
  browser.socket.lose();
  connection.send({ forget: "Film" });
  assert.equal(untilNextSocket() < Infinity, true);
  greet();
  assert.deepEqual(browser.socket.sent, []);
});

test("after a loss the numbers begin at 1 again, and nothing is pending", () => {
  greet();
  connection.change("led", { level: 1 });
  connection.change("led", { level: 2 });
  connection.change("led", { level: 2.5 });
  browser.socket.receive(level("desk", 2, 2));
  browser.socket.lose();
  untilNextSocket();
  calls = [];
  greet();
  assert.deepEqual(levels(), [20]);
  connection.change("led", { level: 3 });
  assert.deepEqual(browser.socket.sent, [{ level: 3, light: "led", seq: 1 }]);
  browser.socket.receive(level("led", 50));
  assert.deepEqual(levels(), [20]);
});

test("a change without a connection is dropped", () => {
  greet();
  browser.socket.lose();
  connection.change("led", { level: 1 });
  untilNextSocket();
  greet();
  assert.deepEqual(browser.socket.sent, []);
});

test("a lost connection is reported at once, and once", () => {
  greet();
  browser.socket.lose();
  assert.deepEqual(states(), ["live", "reconnecting"]);
  untilNextSocket();
  browser.socket.lose();
  assert.deepEqual(states(), ["live", "reconnecting"]);
});

test("a page that was never live goes on connecting", () => {
  browser.socket.lose();
  assert.deepEqual(states(), []);
  assert.equal(connection.state, "connecting");
});

test("the waits double from 250 ms to 5 s, and begin again after a hello", () => {
  browser.random = 0.9999;
  const waits = [];
  for (let failure = 0; failure < 7; failure++) {
    browser.socket.lose();
    waits.push(untilNextSocket());
  }
  assert.deepEqual(waits, [250, 500, 1000, 2000, 4000, 5000, 5000]);
  greet();
  browser.socket.lose();
  assert.equal(untilNextSocket(), 250);
});

test("the waits are spread over the whole range, but never below 100 ms", () => {
  browser.random = 0;
  browser.socket.lose();
  assert.equal(untilNextSocket(), 100);
  browser.random = 0.5;
  browser.socket.lose();
  assert.equal(untilNextSocket(), 250);
});

test("a socket without a hello is given up after 5 s", () => {
  const [first] = browser.sockets;
  browser.random = 0;
  browser.advance(4999);
  assert.equal(first.closed, false);
  browser.advance(1);
  assert.equal(first.closed, true);
  assert.equal(untilNextSocket(), 100);
});

test("a socket without a hello is given up while the page is hidden, too", () => {
  browser.setHidden(true);
  browser.advance(5000);
  assert.equal(browser.sockets[0].closed, true);
});

test("events of a socket that was given up are ignored", () => {
  greet();
  const [first] = browser.sockets;
  first.lose();
  untilNextSocket();
  greet();
  calls = [];
  first.receive(level("led", 99));
  first.lose();
  assert.deepEqual(calls, []);
});

test("after 15 s of silence the service is probed, and any answer within 4 s will do", () => {
  greet();
  browser.advance(14_999);
  assert.deepEqual(browser.socket.taken(), []);
  browser.advance(1);
  assert.deepEqual(browser.socket.taken(), [PROBE]);
  browser.advance(3999);
  browser.socket.receive({ pages: 1 });
  browser.advance(14_999);
  assert.equal(browser.sockets.length, 1);
  assert.deepEqual(browser.socket.taken(), []);
  browser.advance(1);
  assert.deepEqual(browser.socket.taken(), [PROBE]);
});

test("without an answer a new socket is opened at once, and the page says so", () => {
  greet();
  browser.advance(15_000 + 3999);
  assert.deepEqual(states(), ["live"]);
  browser.advance(1);
  assert.equal(browser.sockets.length, 2);
  assert.equal(browser.sockets[0].closed, true);
  assert.deepEqual(states(), ["live", "reconnecting"]);
});

test("in use 3 s of silence are enough for a probe, and one probe at a time", () => {
  greet();
  browser.advance(3000);
  connection.probeInUse();
  assert.deepEqual(browser.socket.taken(), []);
  browser.advance(1);
  connection.probeInUse();
  connection.change("led", { level: 1 });
  assert.deepEqual(browser.socket.taken(), [PROBE, { level: 1, light: "led", seq: 1 }]);
});

test("a change after silence brings a probe along", () => {
  greet();
  browser.advance(3001);
  connection.change("led", { level: 1 });
  assert.deepEqual(browser.socket.sent, [PROBE, { level: 1, light: "led", seq: 1 }]);
});

test("a hidden page does not probe", () => {
  greet();
  browser.setHidden(true);
  browser.socket.receive({ pages: 2 });
  browser.advance(60_000);
  connection.probeInUse();
  assert.deepEqual(browser.socket.sent, []);
  assert.equal(browser.sockets.length, 1);
});

test("a page that is hidden during a probe does not give the socket up", () => {
  greet();
  browser.advance(15_000);
  browser.setHidden(true);
  browser.advance(60_000);
  assert.equal(browser.sockets.length, 1);
});

test("a page that wakes up trusts no socket, but stays live for 500 ms", () => {
  greet();
  browser.setHidden(true);
  browser.setHidden(false);
  assert.equal(browser.sockets.length, 2);
  assert.equal(browser.sockets[0].closed, true);
  browser.advance(499);
  assert.deepEqual(states(), ["live"]);
  browser.advance(1);
  assert.deepEqual(states(), ["live", "reconnecting"]);
});

test("a change just after a wake-up is sent on the new socket", () => {
  greet();
  browser.setHidden(true);
  browser.setHidden(false);
  connection.change("led", { level: 1 });
  connection.change("desk", { level: 2 });
  browser.advance(300);
  greet();
  assert.deepEqual(browser.socket.sent, [{ level: 1, light: "led", seq: 1 }, { level: 2, light: "desk", seq: 2 }]);
  browser.advance(1000);
  assert.deepEqual(states(), ["live", "live"]);
  // Once, not again after the next wake-up.
  browser.setHidden(true);
  browser.setHidden(false);
  greet();
  assert.deepEqual(browser.socket.sent, []);
});

test("a change just after a wake-up is dropped once the page says that it reconnects", () => {
  greet();
  browser.setHidden(true);
  browser.setHidden(false);
  connection.change("led", { level: 1 });
  browser.advance(500);
  greet();
  assert.deepEqual(browser.socket.sent, []);
});

test("a socket that fails within these 500 ms is not reported yet", () => {
  greet();
  browser.setHidden(true);
  browser.setHidden(false);
  browser.socket.lose();
  assert.deepEqual(states(), ["live"]);
  browser.advance(500);
  assert.deepEqual(states(), ["live", "reconnecting"]);
});

test("the events of one wake-up open one socket", () => {
  greet();
  browser.setHidden(true);
  browser.setHidden(false);
  browser.window.dispatchEvent(Object.assign(new Event("pageshow"), { persisted: true }));
  browser.window.dispatchEvent(new Event("online"));
  assert.equal(browser.sockets.length, 2);
  browser.advance(250);
  browser.window.dispatchEvent(new Event("online"));
  assert.equal(browser.sockets.length, 3);
});

test("the first show of a page is no wake-up", () => {
  greet();
  browser.window.dispatchEvent(Object.assign(new Event("pageshow"), { persisted: false }));
  assert.equal(browser.sockets.length, 1);
});

test("a wake-up ends the wait for the next try, and its waits begin again", () => {
  browser.random = 0.9999;
  for (let failure = 0; failure < 5; failure++) {
    browser.socket.lose();
    untilNextSocket();
  }
  browser.socket.lose();
  const before = browser.sockets.length;
  browser.window.dispatchEvent(new Event("online"));
  assert.equal(browser.sockets.length, before + 1);
  browser.socket.lose();
  assert.equal(untilNextSocket(), 250);
});
