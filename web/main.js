// Puts the page together: the lights on the screen, the status line, the sheet.

import { Connection } from "./connection.js";
import { Light } from "./light.js";
import { Master } from "./master.js";
import { language, words } from "./words.js";

const root = document.documentElement;
root.lang = language;

const lights = new Map(); // name → Light, of those in the last hello that are not hidden
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
  const countdown = await import("./countdown.js").catch(() => null);
  countdown?.countDown([...lights.values()]);
}

function showLights(hello) {
  const before = [...lights.values()];
  const known = new Map(lights);
  lights.clear();
  house.presets = house.timers = house.here = house.activity = [];
  const shown = hello.lights.filter(({ hidden }) => !hidden);
  for (const { name, title = name, simulated, transition = 0, fastest = 3 } of shown) {
    const light = known.get(name) ?? makeLight(name);
    Object.assign(light, { simulated, transition, fastest, fault: null });
    light.label(title, shown.length > 1);
    lights.set(name, light);
  }
  const all = [...lights.values()];
  document.title = all.length === 1 ? `${all[0].title} · dimmer` : "dimmer";
  if (all.length === before.length && all.every((light, n) => light === before[n])) return;
  master = all.length > 1 ? new Master(all, connection) : null;
  const main = document.querySelector("main");
  main.classList.toggle("several", all.length > 1);
  main.replaceChildren(...(master ? [master.light] : []).concat(all).map(({ section }) => section));
}

function showStatus() {
  const live = connection.state === "live";
  const several = lights.size > 1;
  const all = live ? [...lights.values()] : [];
  const faults = all.filter(({ fault }) => fault).map(({ title, fault }) => words.fault(several ? title : words.theLed, fault));
  for (const light of lights.values()) light.section.classList.toggle("fault", live && light.fault !== null);

  const simulated = all.filter((light) => light.simulated).map(({ title }) => title);
  const some = simulated.length < lights.size ? ` (${simulated.join(", ")})` : "";
  const state = !live ? words[connection.state] : pages ? words.pages(pages) : words.live;
  const note = live && !lights.size ? words.noLights : simulated.length ? words.simulated + some : "";

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

const opener = document.querySelector("#opener");
opener.append(words.sheet);
opener.addEventListener("click", open);
// Pulled up by a finger, which a touch leaves on the button.
opener.addEventListener("pointermove", ({ buttons, clientY }) => {
  if (buttons && clientY < opener.getBoundingClientRect().top) open();
});

async function open() {
  try {
    loading ??= import("./sheet.js").then(({ Sheet }) => Sheet.load(house));
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
    for (const light of lights.values()) light.live = house.live;
    if (master) master.light.live = house.live;
    showStatus();
    redraw();
  },
  hello(hello) {
    showLights(hello);
    if (house.name) connection.tell({ name: house.name });
  },
  light: (message) => lights.get(message.light)?.follow(message),
  presets: (presets) => keep({ presets }),
  timers: (timers) => keep({ timers }),
  here: (here) => keep({ here }),
  activity: (news) => keep({ activity: [...house.activity, ...news].slice(-ACTIVITY) }),
  pages(count) {
    pages = count;
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
