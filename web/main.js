// Puts the page together: the lights on the screen, the bar with presets and timers, the status line, the sheet.

import { drawBar } from "./bar.js";
import { Connection } from "./connection.js";
import { follow } from "./follow.js";
import { Light, write } from "./lights/light.js";
import { direction, language, words } from "./words.js";

/** @typedef {import("./connection.js").Hello} Hello */
/** @typedef {import("./connection.js").LightMessage} LightMessage */

const root = document.documentElement;
const main = document.querySelector("main");
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
// Of all lights; there is none for a single light, whose page does not load it.
/** @type {import("./lights/master.js").Master | null} */
let master = null;
/** @type {typeof import("./lights/master.js") | null | undefined} */
let masterModule;
/** @type {Promise<typeof import("./lights/master.js") | null> | undefined} */
let loadingMaster;
let pages = 0;
// The last one, with the descriptions since.
/** @type {Hello} */
let greeting;
let wasLive = false;
// What greets a new light; there is none before the first. In Safari, another import would not wait for the first.
/** @type {Promise<typeof import("./greeting/greeting.js")> | undefined} */
let greeter;
// When the last hello came, in ms of performance.now().
let greeted = 0;
let error = "";
/** @type {import("./connection.js").Reason | null} */
let refusal = null;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let errorTimer;

/**
 * What the bar and the sheet show and do. `name` is what this page calls itself, `said` what it said last.
 * @typedef {{ lights: Map<string, Light>, presets: string[], timers: import("./connection.js").TimerInfo[],
 *   here: string[], activity: import("./connection.js").ActivityEntry[], live: boolean, described: object,
 *   send(message: object): void, handled(): Promise<void>, name: string, said: string, canLogOut: boolean,
 *   hasMatter: boolean }} Hub
 */
/** @type {Hub} */
const hub = {
  lights,
  presets: [],
  timers: [],
  here: [],
  activity: [],
  live: false,
  // Another one whenever a setting was changed, or may have been.
  described: {},
  said: "",
  canLogOut: false,
  hasMatter: false,
  send: (message) => connection.send(message),
  handled: () => connection.handled(),
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
const FEW = 3; // lights that stand side by side
const HIGH = 480; // pixels that these need
const ACTIVITY = 100; // entries, as many as the service keeps
const HISTORY = 2000; // ms after a hello in which the service tells what happened before
/** @type {import("./sheet/sheet.js").Sheet | undefined} */
let sheet;
/** @type {Promise<import("./sheet/sheet.js").Sheet> | null} */
let loading = null;
let drawFrame = 0;
// Some lights are updated, and others follow at once.
let isUpdating = false;

/** @param {string} name */
function makeLight(name) {
  const light = new Light({
    send: (change) => connection.change(name, change),
    start: () => connection.probeInUse(),
    busy: () => connection.isPending(name),
    changed() {
      if (!isUpdating) master?.update();
      if (light.arrives) countDown();
      redrawSheet();
    },
    open: () => open(light),
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
  const visible = hello.lights.filter(({ hidden }) => !hidden);
  for (const { name, title = name, simulated, transition = 0, fastest = 3, warmth } of visible) {
    const light = known.get(name) ?? makeLight(name);
    Object.assign(light, { title, simulated, transition, fastest, warmth });
    lights.set(name, light);
  }
  arrange();
  if (visible.some((light) => light.new)) greeter ??= import("./greeting/greeting.js");
  greeter?.then(({ greet }) => greet(visible, hub), () => {});
}

// Puts the lights in their places. A light that is there already is not moved, as it may be under a thumb.
function arrange() {
  shown = [...lights.values(), ...remoteLights.values()];
  const several = shown.length > 1;
  for (const light of shown) light.label(light.title, several);
  const title = greeting.title ?? "dimmer";
  document.title = shown.length === 1 ? `${shown[0].title} · ${title}` : title;
  // The lights wait for the master, or they would move down when it comes.
  if (several && masterModule === undefined) return void loadMaster();
  master = several && masterModule ? master ?? new masterModule.Master(reachable, connection) : null;
  if (master) {
    master.light.live = hub.live;
    master.update();
  }
  const sections = (master ? [master.light] : []).concat(shown).map(({ section }) => section);
  for (const section of [...main.children]) if (!sections.some((each) => each === section)) section.remove();
  sections.forEach((section, n) => section === main.children[n] || main.insertBefore(section, main.children[n]));
  layOut();
}

const reachable = () => shown.filter(({ online }) => online);

async function loadMaster() {
  main.setAttribute("aria-busy", "true");
  masterModule = await (loadingMaster ??= import("./lights/master.js").catch(() => null));
  arrange();
  main.removeAttribute("aria-busy");
}

// One light has the page for itself. A few stand side by side, if they have the room and their titles fit; or else each
// is a tile. The browser's history knows which of these is open, so its way back closes it.
function layOut() {
  const opened = shown.length > 1 ? shown.find(({ name }) => name === history.state?.light) : undefined;
  const all = (master ? [master.light] : []).concat(shown);
  for (const light of all) light.section.hidden = opened !== undefined && light !== opened;
  back.hidden = !opened;
  main.className = opened || !master ? "" : "several";
  const names = [...main.querySelectorAll(".name")];
  const isLong = (/** @type {HTMLElement} */ { scrollWidth, clientWidth }) => scrollWidth > clientWidth;
  for (const name of names) name.classList.remove("long");
  const tiled = main.className !== "" && (shown.length > FEW || innerHeight < HIGH || names.some(isLong));
  if (tiled) main.className = "many";
  for (const light of all) light.tile = tiled;
  // One word that is longer than its tile is written smaller.
  for (const name of tiled ? names.filter(isLong) : []) name.classList.add("long");
}

/** @param {Light} light */
function open(light) {
  history.pushState({ light: light.name }, "");
  layOut();
}

/** @param {LightMessage[]} messages */
function updateLights(messages) {
  isUpdating = true;
  messages.forEach(updateLight);
  isUpdating = false;
  master?.update();
}

/**
 * Takes what the service says about a light; for one of another dimmer also what it is.
 * @param {LightMessage} message
 */
function updateLight({ light: name, title, online = false, gone, by, via, ...state }) {
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
  // A timer is no somebody, nor is this page somebody else.
  light?.update({ ...state, by: via || by === hub.name ? "" : by });
}

/** @param {string} name */
function removeRemote(name) {
  const light = remoteLights.get(name);
  // A gesture that it is part of goes on without it.
  if (light) light.live = false;
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

/** @param {string} message */
function showError(message) {
  error = message;
  clearTimeout(errorTimer);
  if (message) errorTimer = setTimeout(showError, 5000, "");
  showStatus();
  sheet?.showError(message);
}

/**
 * Shows for a moment what somebody else has just said.
 * @param {import("./connection.js").ActivityEntry[]} entries
 */
async function showSaid(entries) {
  const said = entries.filter(({ what, text }) => what === "said" && text !== hub.said).pop();
  if (!said || performance.now() - greeted < HISTORY) return;
  const module = await import("./bar/toast.js").catch(() => null);
  module?.toast([said.who, said.text].filter(Boolean).join(": "));
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

addEventListener("resize", layOut);
addEventListener("popstate", () => {
  layOut();
  if (!history.state?.sheet) sheet?.close();
});
const back = document.querySelector("#back");
back.append(`‹ ${words.all}`);
back.addEventListener("click", () => history.back());
addEventListener("keydown", ({ key, defaultPrevented }) => {
  if (key === "Escape" && !defaultPrevented && (sheet?.isOpen || !back.hidden)) history.back();
});

const opener = document.querySelector("#opener");
opener.append(words.sheetTitle);
opener.addEventListener("click", openSheet);
// Pulled up: a touch keeps sending its events to the button after the finger has left it.
opener.addEventListener("pointermove", (event) => {
  if (!event.buttons) return;
  if (sheet?.isOpen) sheet.pull(event);
  else if (event.clientY < opener.getBoundingClientRect().top) openSheet();
});
for (const type of /** @type {const} */ (["pointerup", "pointercancel"]))
  opener.addEventListener(type, (event) => sheet?.settle(event));

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
    greeted = performance.now();
    hub.canLogOut = hello.session ?? false;
    hub.hasMatter = hello.matter ?? false;
    hub.described = hello;
    hub.presets = hub.timers = hub.here = hub.activity = [];
    for (const light of remoteLights.values()) light.told = false;
    for (const light of lights.values()) light.fault = null;
    showLights((greeting = hello));
    if (hub.name) connection.send({ name: hub.name });
  },
  lights: updateLights,
  described(described) {
    greeting.lights = greeting.lights.map((light) => (light.name === described.name ? described : light));
    showLights(greeting);
    for (const light of lights.values()) light.live = hub.live;
    showStatus();
    updateHub({ described });
  },
  title(title) {
    greeting.title = title;
    arrange();
    updateHub({ described: {} });
  },
  presets(presets) {
    updateHub({ presets });
    drawBar(hub);
  },
  timers(timers) {
    updateHub({ timers });
    drawBar(hub);
  },
  here: (here) => updateHub({ here }),
  activity(entries) {
    updateHub({ activity: [...hub.activity, ...entries].slice(-ACTIVITY) });
    showSaid(entries);
  },
  pages(count) {
    pages = count;
    // After a hello the count comes last: what has not been named by then is gone.
    for (const [name, { told }] of remoteLights) if (!told) removeRemote(name);
    drawBar(hub);
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
if (isSecureContext && matchMedia("(display-mode: standalone)").matches) {
  import("./offline.js").then(({ keep }) => keep()).catch(() => {});
}
// That the page is connecting is news only if it takes long.
setTimeout(showStatus, 250);
