// Puts the page together: the lights on the screen, the status line, the sheet.

import { Connection } from "./connection.js";
import { follow } from "./follow.js";
import { Light } from "./lights/light.js";
import { Master } from "./lights/master.js";
import { direction, language, words } from "./words.js";

/** @typedef {import("./connection.js").Hello} Hello */
/** @typedef {import("./connection.js").LightMessage} LightMessage */

const root = document.documentElement;
root.lang = language;
root.dir = direction;

// What the page says where this does not run.
for (const text of document.querySelectorAll(".dead")) text.remove();

/**
 * Name → light, of those in the last hello that are not hidden.
 * @type {Map<string, Light>}
 */
const lights = new Map();
/**
 * The same of other dimmers, which the sheet does not show.
 * @type {Map<string, Light>}
 */
const remoteLights = new Map();
/**
 * All of these, in their order on the screen.
 * @type {Light[]}
 */
let shown = [];
/** @type {Master | null} */
let master = null;
let pages = 0;
let wasLive = false;
let error = "";
/** @type {import("./connection.js").Reason | null} */
let refusal = null;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let errorTimer;

/**
 * What the sheet shows and does. `name` is what this page calls itself.
 * @typedef {{ lights: Map<string, Light>, presets: string[], timers: import("./connection.js").TimerInfo[],
 *   here: string[], activity: import("./connection.js").ActivityEntry[], live: boolean,
 *   send(message: object): void, name: string }} Hub
 */
/** @type {Hub} */
const hub = {
  lights,
  presets: [],
  timers: [],
  here: [],
  activity: [],
  live: false,
  send: (message) => connection.send(message),
  // Where nothing can be stored, the page has no name.
  get name() {
    try {
      return localStorage.name ?? "";
    } catch {
      return "";
    }
  },
  set name(name) {
    try {
      localStorage.name = name;
    } catch {}
    if (name) connection.send({ name });
  },
};
const ACTIVITY = 100; // entries, as many as the service keeps
/** @type {import("./sheet/sheet.js").Sheet | undefined} */
let sheet;
/** @type {Promise<import("./sheet/sheet.js").Sheet> | null} */
let loading = null;
let drawFrame = 0;

/** @param {string} name */
function makeLight(name) {
  const light = new Light({
    send: (change) => connection.change(name, change),
    start: () => connection.probeInUse(),
    busy: () => connection.isPending(name),
    changed() {
      master?.update();
      if (light.arrives) countDown();
      redrawSheet();
    },
  });
  light.name = name;
  light.section.dataset.light = name;
  return light;
}

async function countDown() {
  const countdown = await import("./lights/countdown.js").catch(() => null);
  countdown?.countDown([...lights.values()]);
}

/** @param {Hello} hello */
function showLights(hello) {
  const known = new Map(lights);
  lights.clear();
  hub.presets = hub.timers = hub.here = hub.activity = [];
  for (const light of remoteLights.values()) light.told = false;
  const visible = hello.lights.filter(({ hidden }) => !hidden);
  for (const { name, title = name, simulated, transition = 0, fastest = 3 } of visible) {
    const light = known.get(name) ?? makeLight(name);
    Object.assign(light, { title, simulated, transition, fastest, fault: null });
    lights.set(name, light);
  }
  arrange();
}

// Puts the lights in their places. A light that is there already is not moved, as it may be under a thumb.
function arrange() {
  shown = [...lights.values(), ...remoteLights.values()];
  const several = shown.length > 1;
  for (const light of shown) light.label(light.title, several);
  document.title = shown.length === 1 ? `${shown[0].title} · dimmer` : "dimmer";
  master = several ? master ?? new Master(() => shown.filter(({ online }) => online), connection) : null;
  if (master) {
    master.light.live = hub.live;
    master.update();
  }
  const main = document.querySelector("main");
  main.classList.toggle("several", several);
  const sections = (master ? [master.light] : []).concat(shown).map(({ section }) => section);
  for (const section of [...main.children]) if (!sections.some((each) => each === section)) section.remove();
  sections.forEach((section, n) => section === main.children[n] || main.insertBefore(section, main.children[n]));
}

/**
 * Takes what the service says about a light; for one of another dimmer also what it is.
 * @param {LightMessage} message
 */
function updateLight({ light: name, title, online = false, gone, ...state }) {
  let light = lights.get(name) ?? remoteLights.get(name);
  if (gone) removeRemote(name);
  else if (title) {
    const isNew = !light;
    light ??= makeLight(name);
    Object.assign(light, { title, online, told: true });
    light.live = hub.live;
    if (isNew) {
      remoteLights.set(name, light);
      arrange();
    }
    light.label(title, shown.length > 1);
  }
  light?.update(state);
}

/** @param {string} name */
function removeRemote(name) {
  remoteLights.delete(name);
  arrange();
}

function showStatus() {
  const live = connection.state === "live";
  const several = shown.length > 1;
  const all = live ? [...lights.values()] : [];
  const faults = [];
  for (const { title, fault } of all) if (fault) faults.push(words.fault(several ? title : words.theLed, fault));
  for (const light of lights.values()) light.section.classList.toggle("fault", live && light.fault !== null);

  const simulated = all.filter((light) => light.simulated).map(({ title }) => title);
  const some = simulated.length < shown.length ? ` (${simulated.join(", ")})` : "";
  const state = connection.state !== "live" ? words[connection.state] : pages ? words.pages(pages) : words.live;
  const why = refusal && words.refused[refusal](location.hostname);
  const note = why ?? (live && !shown.length ? words.noLights : simulated.length ? words.simulated + some : "");

  document.querySelector("#status").classList.toggle("fault", faults.length > 0 || error !== "");
  write(document.querySelector(".now"), error || faults.join(" · ") || state);
  write(document.querySelector(".note"), note);
}

/**
 * Screen readers speak whatever is written, even if the text is the same again.
 * @param {HTMLElement} element
 * @param {string} text
 */
function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** @param {string} message */
function showError(message) {
  error = message;
  clearTimeout(errorTimer);
  if (message) errorTimer = setTimeout(showError, 5000, "");
  showStatus();
  sheet?.showError(message);
}

/** @param {Partial<Hub>} news */
function updateHub(news) {
  Object.assign(hub, news);
  redrawSheet();
}

// Once a frame at most, and only while the sheet is open.
function redrawSheet() {
  if (sheet?.isOpen) drawFrame ||= requestAnimationFrame(() => {
    drawFrame = 0;
    sheet?.draw();
  });
}

// With several lights, the keys to the left and right move the focus to the light beside, and wrap around.
const row = document.querySelector("main");
row.addEventListener("keydown", (event) => {
  const right = direction === "rtl" ? -1 : 1;
  const step = event.key === "ArrowLeft" ? -right : event.key === "ArrowRight" ? right : 0;
  const inputs = [...row.querySelectorAll("input:enabled")];
  const place = inputs.findIndex((input) => input === event.target);
  if (!step || place < 0 || inputs.length < 2 || event.ctrlKey || event.altKey || event.metaKey) return;
  event.preventDefault();
  event.stopPropagation();
  inputs.at((place + step) % inputs.length)?.focus();
}, true);

const opener = document.querySelector("#opener");
opener.append(words.sheetTitle);
opener.addEventListener("click", openSheet);
// Pulled up: a touch keeps sending its events to the button after the finger has left it.
opener.addEventListener("pointermove", ({ buttons, clientY }) => {
  if (buttons && clientY < opener.getBoundingClientRect().top) openSheet();
});

async function openSheet() {
  try {
    loading ??= import("./sheet/sheet.js").then(({ Sheet }) => Sheet.load(hub));
    sheet = await loading;
    sheet.open();
  } catch {
    loading = null;
    showError(words.notLoaded);
  }
}

// Once the lights and the presets are known, as a link names them.
async function askLink() {
  if (location.hash.length < 2) return;
  const link = await import("./sheet/link.js").catch(() => null);
  if (location.hash.length > 1) link?.ask(hub);
}
addEventListener("hashchange", () => hub.live && askLink());

const connection = new Connection({
  state(state) {
    root.dataset.connection = state;
    refusal = null;
    hub.live = state === "live";
    opener.disabled = !hub.live && !sheet;
    for (const light of shown) light.live = hub.live;
    if (master) master.light.live = hub.live;
    showStatus();
    redrawSheet();
  },
  refused(reason) {
    refusal = reason;
    showStatus();
  },
  hello(hello) {
    if (wasLive) follow();
    wasLive = true;
    showLights(hello);
    if (hub.name) connection.send({ name: hub.name });
  },
  light: updateLight,
  presets: (presets) => updateHub({ presets }),
  timers: (timers) => updateHub({ timers }),
  here: (here) => updateHub({ here }),
  activity: (entries) => updateHub({ activity: [...hub.activity, ...entries].slice(-ACTIVITY) }),
  pages(count) {
    pages = count;
    // After a hello the count comes last: what has not been named by then is gone.
    for (const [name, { told }] of remoteLights) if (!told) removeRemote(name);
    askLink();
    showStatus();
  },
  fault({ light: name, message }) {
    const light = lights.get(name);
    if (light) light.fault = message;
    showStatus();
  },
  error: showError,
});
// That the page is connecting is news only if it takes long.
setTimeout(showStatus, 250);
