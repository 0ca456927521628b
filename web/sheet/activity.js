// Who is here, what happened, and what people say to each other: the part of the sheet that is loaded on demand.

import { locale, words as pageWords } from "../words.js";
import { words as sheetWords } from "./words.js";

/** @typedef {import("../connection.js").ActivityEntry} Entry */

const words = sheetWords.activity;

export class Activity {
  #hub;
  #here;
  #log;
  /** @type {Entry[] | undefined} */
  #drawn;

  /**
   * @param {HTMLElement} section
   * @param {import("../main.js").Hub} hub
   */
  constructor(section, hub) {
    this.#hub = hub;
    section.insertAdjacentHTML("beforeend", `
      <h3>${words.title}</h3>
      <p class="here" role="status"></p>
      <label><span>${words.me}</span> <input class="me" type="text" maxlength="40" autocomplete="off" enterkeyhint="done"></label>
      <form class="save">
        <input type="text" maxlength="200" required autocomplete="off" enterkeyhint="send" aria-label="${words.say}" placeholder="${words.say}">
        <button>${words.send}</button>
      </form>
      <ul class="list"></ul>`);
    this.#here = section.querySelector(".here");
    this.#log = section.querySelector("ul");
    const me = section.querySelector(".me"), form = section.querySelector("form"), say = form.querySelector("input");
    me.value = hub.name;
    me.addEventListener("change", () => (hub.name = me.value.trim()));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      hub.said = say.value.trim();
      hub.send({ say: hub.said });
      say.value = "";
    });
  }

  draw() {
    const { here, activity } = this.#hub;
    if (here.length) {
      const [before = "", after = ""] = words.here("\n").split("\n");
      const names = here.flatMap((name, index) => (index ? [", ", foreign(name)] : [foreign(name)]));
      this.#here.replaceChildren(before, ...names, after);
    } else this.#here.textContent = words.nobody;
    if (this.#drawn === activity) return;
    this.#drawn = activity;
    // The service sends a change once it has come to rest, so it may arrive after what was done later.
    const newest = [...activity].reverse().sort((one, other) => other.at - one.at);
    this.#log.replaceChildren(...newest.map((entry) => this.#item(entry)));
  }

  /** @param {Entry} entry */
  #item(entry) {
    const item = document.createElement("li");
    const text = document.createElement("span");
    const time = document.createElement("small");
    const name = entry.light ?? "";
    const light = this.#hub.lights.get(name)?.title ?? name;
    const effect = entry.effect && (pageWords.effects[entry.effect] ?? entry.effect);
    const levels = Object.values(entry.lights ?? {});
    const together = levels.length && { count: levels.length, level: Math.max(...levels) };
    const who = entry.who ?? words.via[entry.via ?? ""] ?? words.someone;
    text.append(foreign(who), ` ${words.did[entry.what]?.({ ...entry, ...together, effect }, light) ?? entry.what}`);
    time.textContent = new Date(entry.at * 1000).toLocaleTimeString(locale, { hour: "2-digit", minute: "2-digit" });
    item.append(text, time);
    return item;
  }
}

/**
 * A name that somebody else chose: the direction of its letters does not spread to the words around it.
 * @param {string} name
 */
function foreign(name) {
  const element = document.createElement("bdi");
  element.textContent = name;
  return element;
}
