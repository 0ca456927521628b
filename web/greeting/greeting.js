// Greets each light that the service has not known before: asks whether its LED lights up, and helps if it does not.

import { button, loadStyle } from "../elements.js";
import { diagnose, item, place } from "../sheet/service.js";
import { language, words as pageWords } from "../words.js";

/** @typedef {import("../connection.js").LightInfo} LightInfo */
/** @typedef {import("../main.js").Hub} Hub */

/** @type {{ default: import("../words.js").GreetingWords }} */
const loaded = await import(`./words/${language}.js`);
const words = loaded.default;
await loadStyle("greeting/greeting.css").catch(() => {});

const card = document.createElement("section");
card.id = "greeting";
card.setAttribute("aria-labelledby", "greeted");
/** @type {LightInfo[]} */
let lights = [];
/** @type {Hub} */
let hub;
// What the card shows.
let shown = "";
/**
 * The lights that this page asks about no more.
 * @type {Set<string>}
 */
const later = new Set();
/**
 * The lights that somebody on this page has answered "Yes" for.
 * @type {Set<string>}
 */
const lit = new Set();

/**
 * Called with all lights that are shown whenever the description of one of them changes.
 * @param {LightInfo[]} described
 * @param {Hub} from
 */
export function greet(described, from) {
  [lights, hub] = [described, from];
  // Again for what was answered while there was no connection.
  for (const { name, new: isNew } of lights) if (isNew && lit.has(name)) tell(name);
  draw();
}

// One light after another. Where the focus was in the card, it goes on to the next, or to the lights.
function draw() {
  const light = lights.find(({ name, new: isNew }) => isNew && !later.has(name) && !lit.has(name));
  const key = JSON.stringify([light?.name, light?.title]);
  if (key === shown) return;
  shown = key;
  const hadFocus = card.contains(document.activeElement);
  card.remove();
  if (light) {
    card.replaceChildren(...ask(light));
    document.querySelector("footer").prepend(card);
  }
  if (hadFocus && light) card.querySelector("button").focus();
  else if (hadFocus) document.querySelector("main").querySelector("input")?.focus();
}

/** @param {LightInfo} light */
function ask({ name, title = name }) {
  const question = document.createElement("p"), about = document.createElement("strong");
  about.id = "greeted";
  about.textContent = words.title(title);
  question.append(about, words.question);
  const yes = button("yes", words.yes), no = button("no", words.no), answers = document.createElement("div");
  yes.addEventListener("click", () => greeted(name));
  no.addEventListener("click", () => help(name, title));
  answers.append(yes, no);
  return [question, answers];
}

/** @param {string} light */
const tell = (light) => hub.send({ light, greeted: true });

/** @param {string} light */
function greeted(light) {
  lit.add(light);
  tell(light);
  draw();
}

/**
 * What to look at if the LED stays dark.
 * @param {string} name
 * @param {string} title
 */
async function help(name, title) {
  const [pins] = await Promise.all([diagnose(), loadStyle("sheet/sheet.css").catch(() => {})]);
  if (document.querySelector(".help")) return;
  const pin = pins.find((each) => each.name === name), fault = hub.lights.get(name)?.fault;
  const dialog = document.createElement("dialog"), heading = document.createElement("h2");
  dialog.className = "sheet ask help";
  dialog.setAttribute("aria-labelledby", "help-title");
  heading.id = "help-title";
  heading.textContent = words.dark;
  // It has the focus at first: that of a button below would scroll past all there is to read.
  heading.tabIndex = -1;
  heading.autofocus = true;
  const list = document.createElement("ul"), buttons = document.createElement("div");
  list.className = "list";
  const checks = [words.wiring(pin ? place(pin) : "GPIO"), words.legs, words.gpio];
  if (fault) checks.unshift(pageWords.fault(pageWords.theLed, fault));
  list.append(...checks.map((check) => Object.assign(document.createElement("li"), { textContent: check })));
  if (pin) list.append(item(pin, title));
  buttons.className = "chips";
  const wait = button("chip wait", words.later), done = button("chip done", words.lit);
  wait.addEventListener("click", () => dialog.close());
  done.addEventListener("click", () => {
    greeted(name);
    dialog.close();
  });
  buttons.append(wait, done);
  dialog.append(heading, list, buttons);
  // The browser has given the focus back to the card by then.
  dialog.addEventListener("close", () => {
    dialog.remove();
    later.add(name);
    draw();
  });
  document.body.append(dialog);
  dialog.showModal();
}
