// Counts down the time that transitions still take. One timer, only while there is something to count and the page
// is visible.

import { words } from "../words.js";

/** @typedef {import("./light.js").Light} Light */

/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;
/** @type {Light[]} */
let counted = [];

/** @param {Light[]} lights */
export function countDown(lights) {
  counted = lights;
  count();
}

function count() {
  clearTimeout(timer);
  timer = undefined;
  if (document.hidden) return;
  const now = performance.now();
  let wait = Infinity;
  for (const light of counted) {
    const left = light.arrives - now;
    light.left = left > 0 ? words.left(clock(Math.ceil(left / 1000))) : "";
    // Until the text of this light changes.
    if (left > 0) wait = Math.min(wait, left % 1000 || 1000);
  }
  if (wait < Infinity) timer = setTimeout(count, wait + 1);
}

/** @param {number} seconds */
function clock(seconds) {
  const minutes = Math.floor(seconds / 60);
  return minutes ? `${minutes}:${String(seconds % 60).padStart(2, "0")}` : `${seconds} s`;
}

document.addEventListener("visibilitychange", count);
