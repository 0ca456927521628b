// Who is here, what happened, and what people say to each other: the part of the sheet that is loaded on demand.

import { language, words as pageWords } from "../words.js";

/** @typedef {import("../connection.js").ActivityEntry} Entry */
/**
 * `did` has the words for each `what` of an entry.
 * @typedef {{ title: string, me: string, say: string, send: string, here(names: string): string, nobody: string,
 *   someone: string, via: Record<string, string>, did: Record<string, (entry: Entry, light: string) => string> }} Words
 */

/** @type {Record<import("../words.js").Language, Words>} */
const WORDS = {
  en: {
    title: "Who is here",
    me: "This page’s name",
    say: "Say something to all",
    send: "Send",
    here: (names) => `Here: ${names}`,
    nobody: "Nobody here has a name yet.",
    someone: "A page",
    via: { api: "The API", mqtt: "MQTT", timer: "A timer", button: "A button" },
    did: {
      joined: () => "is here",
      left: () => "has left",
      set: ({ level }, light) => `set ${light} to ${level} %`,
      effect: ({ effect }, light) => (effect ? `started ${effect} on ${light}` : `ended the effect of ${light}`),
      flashed: (_, light) => `flashed ${light}`,
      recalled: ({ preset }) => `recalled ${preset}`,
      saved: ({ preset }) => `saved ${preset}`,
      forgot: ({ preset }) => `forgot ${preset}`,
      timer: ({ timer }) => `added timer ${timer}`,
      cancelled: ({ timer }) => `removed timer ${timer}`,
      said: ({ text }) => `“${text}”`,
      more: ({ count }) => `did ${count} more things`,
    },
  },
  "pt-BR": {
    title: "Quem está aqui",
    me: "Nome desta página",
    say: "Diga algo a todos",
    send: "Enviar",
    here: (names) => `Aqui: ${names}`,
    nobody: "Ninguém aqui tem nome ainda.",
    someone: "Uma página",
    via: { api: "A API", mqtt: "MQTT", timer: "Um timer", button: "Um botão" },
    did: {
      joined: () => "está aqui",
      left: () => "saiu",
      set: ({ level }, light) => `pôs ${light} em ${level} %`,
      effect: ({ effect }, light) => (effect ? `iniciou ${effect} em ${light}` : `terminou o efeito de ${light}`),
      flashed: (_, light) => `piscou ${light}`,
      recalled: ({ preset }) => `chamou ${preset}`,
      saved: ({ preset }) => `salvou ${preset}`,
      forgot: ({ preset }) => `esqueceu ${preset}`,
      timer: ({ timer }) => `criou o timer ${timer}`,
      cancelled: ({ timer }) => `removeu o timer ${timer}`,
      said: ({ text }) => `“${text}”`,
      more: ({ count }) => `fez mais ${count} coisas`,
    },
  },
};
const words = WORDS[language];

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
      hub.send({ say: say.value.trim() });
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
    const who = entry.who ?? words.via[entry.via ?? ""] ?? words.someone;
    text.append(foreign(who), ` ${words.did[entry.what]?.({ ...entry, effect }, light) ?? entry.what}`);
    time.textContent = new Date(entry.at * 1000).toLocaleTimeString(language, { hour: "2-digit", minute: "2-digit" });
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
