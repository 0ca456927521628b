// Puts the page together: its words, the lights on the screen, the status line.

import { Connection } from "./connection.js";
import { Slider, holdable } from "./slider.js";

const WORDS = {
  en: {
    connecting: "Connecting…",
    reconnecting: "Reconnecting…",
    pages: (n) => (n === 1 ? "Live · only this page is open" : `Live · ${n} pages open`),
    live: "Live",
    theLed: "The LED",
    fault: (what, message) => `${what} does not answer: ${message}`,
    simulated: "Simulated LED: no pin is driven",
    light: "Light",
    level: "Level",
    more: "More light",
    less: "Less light",
    off: "Off",
    percent: (number) => `${number} percent`,
    decimal: ".",
  },
  "pt-BR": {
    connecting: "Conectando…",
    reconnecting: "Reconectando…",
    pages: (n) => (n === 1 ? "Ao vivo · só esta página está aberta" : `Ao vivo · ${n} páginas abertas`),
    live: "Ao vivo",
    theLed: "O LED",
    fault: (what, message) => `${what} não responde: ${message}`,
    simulated: "LED simulado: nenhum pino é acionado",
    light: "Luz",
    level: "Nível",
    more: "Mais luz",
    less: "Menos luz",
    off: "Desligado",
    percent: (number) => `${number} por cento`,
    decimal: ",",
  },
};

const root = document.documentElement;
const spoken = navigator.languages.find((language) => /^(en|pt)\b/i.test(language)) ?? "en";
const language = /^pt/i.test(spoken) ? "pt-BR" : "en";
const words = WORDS[language];
root.lang = language;

const lights = new Map(); // name → what makeLight returns, as in the last hello
let pages = 0;
let error = "";
let forgetError;

function makeLight(name) {
  const section = document.querySelector("#light").content.cloneNode(true).firstElementChild;
  const part = (selector) => section.querySelector(selector);
  const [input, lamp, more, less] = ["input", ".lamp", ".more", ".less"].map(part);
  section.dataset.light = name;
  part(".name").textContent = name;

  const send = (change) => connection.send(name, change);
  const slider = new Slider(section, {
    show(level) {
      // Not by Intl: its first use took some 50 ms in a new browser on a CPU slowed down 4 times.
      const number = String(level).replace(".", words.decimal);
      section.style.setProperty("--level", level);
      part(".digits").textContent = level ? number : words.off;
      part(".unit").textContent = level ? " %" : "";
      lamp.setAttribute("aria-pressed", level > 0);
      input.value = level;
      input.setAttribute("aria-valuetext", level ? words.percent(number) : words.off.toLowerCase());
    },
    send: (level) => send({ level }),
    start: () => connection.inUse(),
  });
  const busy = () => connection.unseen(name);
  holdable(more, () => send({ step: 1 }), busy);
  holdable(less, () => send({ step: -1 }), busy);
  lamp.addEventListener("click", () => send({ toggle: true }));
  section.addEventListener("contextmenu", (event) => event.preventDefault());

  let focused;
  return {
    section,
    slider,
    simulated: false,
    fault: null,
    label(several) {
      const of = several ? ` ${name}` : "";
      part(".name").hidden = !several;
      for (const [control, word] of [[lamp, "light"], [input, "level"], [more, "more"], [less, "less"]])
        control.setAttribute("aria-label", words[word] + of);
    },
    set live(live) {
      slider.live = live;
      // A disabled control loses the focus: it gets it back.
      if (!live) focused = section.contains(document.activeElement) ? document.activeElement : focused;
      for (const control of [input, lamp, more, less]) control.disabled = !live;
      input.setAttribute("aria-disabled", !live);
      if (!live) return;
      if (document.activeElement === document.body) focused?.focus({ preventScroll: true });
      focused = null;
    },
  };
}

function showLights(hello) {
  const before = [...lights.keys()].join();
  const known = new Map(lights);
  lights.clear();
  for (const { name, simulated } of hello.lights) {
    const light = known.get(name) ?? makeLight(name);
    light.simulated = simulated;
    light.fault = null;
    lights.set(name, light);
  }
  const names = [...lights.keys()];
  if (names.join() === before) return;
  const main = document.querySelector("main");
  main.replaceChildren(...[...lights.values()].map((light) => light.section));
  main.classList.toggle("several", names.length > 1);
  for (const light of lights.values()) light.label(names.length > 1);
  document.title = names.length === 1 ? `${names[0]} · dimmer` : "dimmer";
}

function showStatus() {
  const live = connection.state === "live";
  const several = lights.size > 1;
  const faults = [...lights]
    .filter(([, light]) => live && light.fault)
    .map(([name, light]) => words.fault(several ? name : words.theLed, light.fault));
  for (const light of lights.values()) light.section.classList.toggle("fault", live && light.fault !== null);

  const simulated = [...lights].filter(([, light]) => live && light.simulated).map(([name]) => name);
  const some = simulated.length < lights.size ? ` (${simulated.join(", ")})` : "";
  const state = !live ? words[connection.state] : pages ? words.pages(pages) : words.live;

  const status = document.querySelector("#status");
  status.classList.toggle("fault", faults.length > 0 || error !== "");
  say(status.querySelector(".now"), error || faults.join(" · ") || state);
  say(status.querySelector(".note"), simulated.length ? words.simulated + some : "");
}

// A screen reader speaks whatever is written, also if it is the same again.
function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

const connection = new Connection({
  state(state) {
    root.dataset.connection = state;
    for (const light of lights.values()) light.live = state === "live";
    showStatus();
  },
  hello: showLights,
  level: (name, level) => lights.get(name)?.slider.follow(level),
  pages(count) {
    pages = count;
    showStatus();
  },
  fault({ light, message }) {
    if (lights.has(light)) lights.get(light).fault = message;
    showStatus();
  },
  error(message) {
    error = message;
    clearTimeout(forgetError);
    forgetError = setTimeout(() => {
      error = "";
      showStatus();
    }, 5000);
    showStatus();
  },
});
// That the page connects is news only if it takes long.
setTimeout(showStatus, 250);
