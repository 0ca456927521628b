// The timers that run out, in the bar: how long they still take, and a way to cancel them.

import { action, due, offsetOf, timeOfDay, title } from "./timer.js";
import { button, fill } from "../elements.js";
import { write } from "../lights/light.js";
import { words } from "../words.js";

/** @typedef {import("../main.js").Hub} Hub */
/** @typedef {import("../connection.js").TimerInfo} Timer */

const SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE; // in ms
const MOST = 2; // of those that run out first

const list = document.querySelector(".running");
/** @type {Timer[]} */
let timers = [];
/** @type {Hub} */
let hub;
/** @type {() => void} */
let fit;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let tick;

/**
 * @param {Timer[]} shown
 * @param {Hub} from
 * @param {() => void} fitted called when they may have become wider
 */
export function drawTimers(shown, from, fitted) {
  [timers, hub, fit] = [shown.slice(0, MOST), from, fitted];
  draw();
}

function draw() {
  fill(list, timers, (timer) => JSON.stringify(timer), item, document.querySelector("#opener"));
  clearTimeout(tick);
  if (document.hidden) return;
  let wait = Infinity;
  timers.forEach((timer, n) => {
    const left = due(timer) - Date.now();
    write(list.children[n].querySelector(".run"), `${what(timer)} · ${rest(timer, left)}`);
    // Until the text changes.
    const step = left > MINUTE ? MINUTE : SECOND;
    if (left > 0) wait = Math.min(wait, left > HOUR ? left - HOUR : left % step || step);
  });
  if (wait < Infinity) tick = setTimeout(draw, Math.min(wait + 1, HOUR));
  fit();
}

/** @param {Timer} timer */
const what = (timer) => [action(timer), title(timer, hub.lights)].filter(Boolean).join(" · ");

/**
 * The time that is left, or the time of day if that is long.
 * @param {Timer} timer
 * @param {number} left in ms
 */
function rest(timer, left) {
  if (left > HOUR) return timeOfDay(due(timer), offsetOf(timer.next ?? ""));
  return left > MINUTE ? `${Math.ceil(left / MINUTE)} min` : `${Math.max(0, Math.ceil(left / SECOND))} s`;
}

/** @param {Timer} timer */
function item(timer) {
  const item = document.createElement("li"), text = document.createElement("span");
  text.className = "run";
  const stop = button("stop", "×", words.remove(what(timer)));
  stop.addEventListener("click", async () => {
    const undo = await import("./undo.js").catch(() => null);
    undo?.cancel(timer, what(timer), hub);
  });
  item.append(text, stop);
  return item;
}

document.addEventListener("visibilitychange", draw);
