// The row above the foot of the page: the timers that run out, and the presets, as many as fit.

const bar = document.querySelector("#bar");
const list = bar.querySelector(".recall");

/** @type {string[]} */
let presets = [];
let areRunning = false;

/** @param {import("./main.js").Hub} hub */
export async function drawBar(hub) {
  // One for a time of day does not run out, but comes.
  const timers = hub.timers.filter(({ next, at }) => next && !at);
  bar.hidden = !hub.presets.length && !timers.length;
  if (presets !== hub.presets) {
    presets = hub.presets;
    list.replaceChildren(...presets.map((name) => item(name, () => hub.send({ recall: name }))));
  }
  fit();
  if (!timers.length && !areRunning) return;
  areRunning = true;
  const running = await import("./bar/running.js").catch(() => null);
  running?.drawTimers(timers, hub, fit);
}

/**
 * @param {string} name
 * @param {() => void} recall
 */
function item(name, recall) {
  const item = document.createElement("li"), button = document.createElement("button");
  button.type = "button";
  button.textContent = name;
  button.addEventListener("click", recall);
  item.append(button);
  return item;
}

// What does not fit into the row is left to the sheet.
function fit() {
  const items = [...bar.querySelectorAll("li")];
  for (const item of items) item.hidden = false;
  for (const item of items) item.hidden = item.offsetTop > items[0].offsetTop;
}

addEventListener("resize", fit);
