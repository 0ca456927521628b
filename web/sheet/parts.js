// What the parts of the sheet have in common: its words, and how they make their elements.

import { language } from "../words.js";

const WORDS = {
  en: {
    sheet: "Effects, presets, timers",
    close: "Close",
    for: "For",
    effectsTitle: "Effects",
    none: "None",
    takes: "It takes",
    minutes: "minutes",
    start: "Start",
    speed: "Speed",
    presetsTitle: "Presets",
    presetName: "Name of a new preset",
    save: "Save",
    forget: (name) => `Forget ${name}`,
    sure: "Forget?",
    timersTitle: "Timers",
    sleep: "Off in:",
    sleepIn: (minutes) => `Off in ${minutes} min`,
    sleepHint: "fades out in the last minute",
    wake: "Wake up…",
    wakeAt: "Sunrise begins at",
    days: "Again on these days, or once",
    add: "Add timer",
    remove: (what) => `Remove ${what}`,
    off: "Off",
    on: "On",
    at: { sunrise: "at sunrise", sunset: "at sunset" },
    never: "not due",
    who: "Who is here…",
  },
  "pt-BR": {
    sheet: "Efeitos, cenas, timers",
    close: "Fechar",
    for: "Para",
    effectsTitle: "Efeitos",
    none: "Nenhum",
    takes: "Leva",
    minutes: "minutos",
    start: "Iniciar",
    speed: "Velocidade",
    presetsTitle: "Cenas",
    presetName: "Nome de uma nova cena",
    save: "Salvar",
    forget: (name) => `Esquecer ${name}`,
    sure: "Esquecer?",
    timersTitle: "Timers",
    sleep: "Desligar em:",
    sleepIn: (minutes) => `Desligar em ${minutes} min`,
    sleepHint: "apaga aos poucos no último minuto",
    wake: "Despertar…",
    wakeAt: "O amanhecer começa às",
    days: "De novo nestes dias, ou uma vez",
    add: "Criar timer",
    remove: (what) => `Remover ${what}`,
    off: "Desligar",
    on: "Ligar",
    at: { sunrise: "ao nascer do sol", sunset: "ao pôr do sol" },
    never: "sem hora marcada",
    who: "Quem está aqui…",
  },
};

export const words = WORDS[language];

// Writes the words into the elements that ask for one.
export function translate(root) {
  const each = (name, write) => {
    for (const element of root.querySelectorAll(`[data-${name}]`)) write(element, words[element.dataset[name]]);
  };
  each("word", (element, word) => (element.textContent = word));
  each("label", (element, word) => element.setAttribute("aria-label", word));
  each("placeholder", (element, word) => (element.placeholder = word));
}

export function button(className, text, label = "") {
  const button = document.createElement("button");
  button.type = "button";
  button.className = className;
  button.textContent = text;
  if (label) button.setAttribute("aria-label", label);
  return button;
}

// Gives the list an element for each item, and keeps those that it has. Where the focus was in one that
// went, it goes to the one in its place, or else to `otherwise`.
export function fill(list, items, key, make, otherwise) {
  const known = new Map([...list.children].map((child) => [child.dataset.key, child]));
  const children = items.map((item) => {
    const child = known.get(key(item)) ?? make(item);
    child.dataset.key = key(item);
    return child;
  });
  if (children.length === list.children.length && children.every((child, n) => child === list.children[n])) return;
  const focused = document.activeElement;
  const place = [...list.children].findIndex((child) => child.contains(focused));
  list.replaceChildren(...children);
  if (place < 0) return;
  const near = children[Math.min(place, children.length - 1)]?.querySelector("button");
  (list.contains(focused) ? focused : near ?? otherwise).focus();
}
