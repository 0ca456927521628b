// Puts the page together: the lights on the screen, the status line, the sheet.

import { Connection } from "./connection.js";
import { Light } from "./lights/light.js";
import { Master } from "./lights/master.js";
import { language, words } from "./words.js";

const root = document.documentElement;
root.lang = language;

const lights = new Map(); // name → Light, of those in the last hello that are not hidden
// The same of other dimmers, which the sheet is not for.
const others = new Map();
let shown = []; // all of these, as they are on the screen
let master;
let pages = 0;
let error = "";
let forgetError;

// What the sheet shows and does.
const house = {
  lights,
  presets: [],
  timers: [],
  here: [],
  activity: [],
  live: false,
  tell: (message) => connection.tell(message),
  // What this page calls itself. Where nothing can be stored, it has no name.
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
    if (name) connection.tell({ name });
  },
};
const ACTIVITY = 100; // entries, as many as the service keeps
let sheet;
let loading; // becomes the sheet
let drawn = 0;

function makeLight(name) {
  const send = (change) => connection.send(name, change);
  const light = new Light({
    send,
    start: () => connection.inUse(),
    busy: () => connection.unseen(name),
    changed() {
      master?.follow();
      if (light.arrives) countDown();
      redraw();
    },
  });
  light.name = name;
  light.send = send;
  light.section.dataset.light = name;
  return light;
}

async function countDown() {
  const countdown = await import("./lights/countdown.js").catch(() => null);
  countdown?.countDown([...lights.values()]);
}

function showLights(hello) {
  const known = new Map(lights);
  lights.clear();
  house.presets = house.timers = house.here = house.activity = [];
  for (const light of others.values()) light.told = false;
  const visible = hello.lights.filter(({ hidden }) => !hidden);
  for (const { name, title = name, simulated, transition = 0, fastest = 3 } of visible) {
    const light = known.get(name) ?? makeLight(name);
    Object.assign(light, { title, simulated, transition, fastest, fault: null });
    lights.set(name, light);
  }
  arrange();
}

// Puts the lights in their places. Those that are there stay, also under a thumb.
function arrange() {
  shown = [...lights.values(), ...others.values()];
  const several = shown.length > 1;
  for (const light of shown) light.label(light.title, several);
  document.title = shown.length === 1 ? `${shown[0].title} · dimmer` : "dimmer";
  master = several ? master ?? new Master(() => shown.filter(({ online }) => online), connection) : null;
  if (master) {
    master.light.live = house.live;
    master.follow();
  }
  const main = document.querySelector("main");
  main.classList.toggle("several", several);
  const sections = (master ? [master.light] : []).concat(shown).map(({ section }) => section);
  for (const section of [...main.children]) if (!sections.includes(section)) section.remove();
  sections.forEach((section, n) => section === main.children[n] || main.insertBefore(section, main.children[n]));
}

// What the service says about a light; of another dimmer's also what it is.
function follow({ light: name, title, online, gone, ...state }) {
  let light = lights.get(name) ?? others.get(name);
  if (gone) forget(name);
  else if (title) {
    const isNew = !light;
    if (isNew) others.set(name, (light = makeLight(name)));
    Object.assign(light, { title, online, told: true });
    light.live = house.live;
    if (isNew) arrange();
    light.label(title, shown.length > 1);
  }
  light?.follow(state);
}

function forget(name) {
  others.delete(name);
  arrange();
}

function showStatus() {
  const live = connection.state === "live";
  const several = shown.length > 1;
  const all = live ? [...lights.values()] : [];
  const faults = all.filter(({ fault }) => fault).map(({ title, fault }) => words.fault(several ? title : words.theLed, fault));
  for (const light of lights.values()) light.section.classList.toggle("fault", live && light.fault !== null);

  const simulated = all.filter((light) => light.simulated).map(({ title }) => title);
  const some = simulated.length < shown.length ? ` (${simulated.join(", ")})` : "";
  const state = !live ? words[connection.state] : pages ? words.pages(pages) : words.live;
  const note = live && !shown.length ? words.noLights : simulated.length ? words.simulated + some : "";

  const status = document.querySelector("#status");
  status.classList.toggle("fault", faults.length > 0 || error !== "");
  say(status.querySelector(".now"), error || faults.join(" · ") || state);
  say(status.querySelector(".note"), note);
}

// A screen reader speaks whatever is written, also if it is the same again.
function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function complain(message) {
  error = message;
  clearTimeout(forgetError);
  if (message) forgetError = setTimeout(complain, 5000, "");
  showStatus();
  sheet?.complain(message);
}

function keep(news) {
  Object.assign(house, news);
  redraw();
}

// Once a frame at most, and only while the sheet is open.
function redraw() {
  if (sheet?.isOpen) drawn ||= requestAnimationFrame(() => {
    drawn = 0;
    sheet.draw();
  });
}

// Of several lights, the keys to the left and right pick the one beside, round and round.
const rows = document.querySelector("main");
rows.addEventListener("keydown", (event) => {
  const way = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  const inputs = [...rows.querySelectorAll("input:enabled")];
  const place = inputs.indexOf(event.target);
  if (!way || place < 0 || inputs.length < 2 || event.ctrlKey || event.altKey || event.metaKey) return;
  event.preventDefault();
  event.stopPropagation();
  inputs.at((place + way) % inputs.length).focus();
}, true);

const opener = document.querySelector("#opener");
opener.append(words.sheet);
opener.addEventListener("click", open);
// Pulled up by a finger, which a touch leaves on the button.
opener.addEventListener("pointermove", ({ buttons, clientY }) => {
  if (buttons && clientY < opener.getBoundingClientRect().top) open();
});

async function open() {
  try {
    loading ??= import("./sheet/sheet.js").then(({ Sheet }) => Sheet.load(house));
    sheet = await loading;
    sheet.open();
  } catch {
    loading = null;
    complain(words.notLoaded);
  }
}

const connection = new Connection({
  state(state) {
    root.dataset.connection = state;
    house.live = state === "live";
    opener.disabled = !house.live && !sheet;
    for (const light of shown) light.live = house.live;
    if (master) master.light.live = house.live;
    showStatus();
    redraw();
  },
  hello(hello) {
    showLights(hello);
    if (house.name) connection.tell({ name: house.name });
  },
  light: follow,
  presets: (presets) => keep({ presets }),
  timers: (timers) => keep({ timers }),
  here: (here) => keep({ here }),
  activity: (news) => keep({ activity: [...house.activity, ...news].slice(-ACTIVITY) }),
  pages(count) {
    pages = count;
    // It comes after all that is still there.
    for (const [name, { told }] of others) if (!told) forget(name);
    showStatus();
  },
  fault({ light, message }) {
    if (lights.has(light)) lights.get(light).fault = message;
    showStatus();
  },
  error: complain,
});
// That the page connects is news only if it takes long.
setTimeout(showStatus, 250);
