// What the parts of the sheet have in common: its words, and how they make their elements.

import { language } from "../words.js";

/**
 * @typedef {{ sheet: string, close: string, for: string, effectsTitle: string, none: string, takes: string,
 *   minutes: string, start: string, speed: string, presetsTitle: string, presetName: string, save: string,
 *   forget(name: string): string, sure: string, timersTitle: string, sleep: string,
 *   sleepIn(minutes: number): string, sleepHint: string, wake: string, wakeAt: string, days: string, add: string,
 *   remove(what: string): string, off: string, on: string, at: Record<string, string>, never: string,
 *   waiting: Record<string, string>, who: string }} Words
 */

/** @type {Record<import("../words.js").Language, Words>} */
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
    waiting: {
      place: "waits for latitude and longitude in the settings",
      zone: "waits for a time zone",
      sun: "waits for the sun",
    },
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
    waiting: {
      place: "espera latitude e longitude nas configurações",
      zone: "espera um fuso horário",
      sun: "espera o sol",
    },
    who: "Quem está aqui…",
  },
};

export const words = WORDS[language];
/** @type {Record<string, any>} */
const wordsByName = words;

/**
 * Writes the words into the elements that ask for one.
 * @param {HTMLElement} root
 */
export function translate(root) {
  /** @type {[string, (element: HTMLElement, word: string) => void][]} */
  const targets = [
    ["word", (element, word) => (element.textContent = word)],
    ["label", (element, word) => element.setAttribute("aria-label", word)],
    ["placeholder", (element, word) => element.setAttribute("placeholder", word)],
  ];
  for (const [name, write] of targets)
    for (const element of root.querySelectorAll(`[data-${name}]`))
      write(element, wordsByName[element.dataset[name] ?? ""]);
}

/**
 * @param {string} className
 * @param {string} text
 * @param {string} [label] for screen readers, where the text does not say it
 */
export function button(className, text, label = "") {
  const button = document.createElement("button");
  button.type = "button";
  button.className = className;
  button.textContent = text;
  if (label) button.setAttribute("aria-label", label);
  return button;
}

/**
 * Gives the list an element for each item, and keeps the elements of items that it has already. Where the focus was
 * in an element that is removed, it moves to the one in its place, or else to `fallback`.
 * @template T
 * @param {HTMLElement} list
 * @param {T[]} items
 * @param {(item: T) => string} key
 * @param {(item: T) => HTMLElement} make
 * @param {HTMLElement} fallback
 */
export function fill(list, items, key, make, fallback) {
  const present = [...list.querySelectorAll("li")];
  const known = new Map(present.map((child) => [child.dataset.key, child]));
  const children = items.map((item) => {
    const child = known.get(key(item)) ?? make(item);
    child.dataset.key = key(item);
    return child;
  });
  if (children.length === present.length && children.every((child, n) => child === present[n])) return;
  const focused = document.activeElement;
  const place = present.findIndex((child) => child.contains(focused));
  list.replaceChildren(...children);
  if (place < 0 || !(focused instanceof HTMLElement)) return;
  const near = children[Math.min(place, children.length - 1)]?.querySelector("button");
  (list.contains(focused) ? focused : near ?? fallback).focus();
}
