// A line that is shown for a moment above the foot of the page, with a way to undo what it tells.

import { button, loadStyle } from "../elements.js";
import { words } from "../words.js";

const SHOWN = 7000; // ms

/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;

/** @type {Promise<unknown> | undefined} */
let styled;

/**
 * @param {string} text
 * @param {() => void} [undo]
 */
export async function toast(text, undo) {
  await (styled ??= loadStyle("bar/toast.css").catch(() => {}));
  const box = document.querySelector("#toast");
  const line = document.createElement("span");
  line.textContent = text;
  box.replaceChildren(line);
  if (undo) {
    const back = button("undo", words.undo);
    back.addEventListener("click", () => {
      undo();
      box.replaceChildren();
    });
    box.append(back);
  }
  clearTimeout(timer);
  timer = setTimeout(fade, SHOWN);
}

// Not under a hand or the focus.
function fade() {
  const box = document.querySelector("#toast");
  if (box.matches(":hover, :focus-within")) timer = setTimeout(fade, SHOWN);
  else box.replaceChildren();
}
