// Who is here, what happened, and what people say to each other: the part of the sheet that is loaded when
// somebody asks for it.

import { language, words as pageWords } from "../words.js";

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
    joined: () => "is here",
    left: () => "has left",
    set: ({ level }, light) => `set ${light} to ${level} %`,
    effect: ({ effect }, light) => (effect ? `started ${effect} on ${light}` : `ended the effect of ${light}`),
    recalled: ({ preset }) => `recalled ${preset}`,
    saved: ({ preset }) => `saved ${preset}`,
    forgot: ({ preset }) => `forgot ${preset}`,
    timer: ({ timer }) => `added timer ${timer}`,
    cancelled: ({ timer }) => `removed timer ${timer}`,
    said: ({ text }) => `“${text}”`,
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
    joined: () => "está aqui",
    left: () => "saiu",
    set: ({ level }, light) => `pôs ${light} em ${level} %`,
    effect: ({ effect }, light) => (effect ? `iniciou ${effect} em ${light}` : `terminou o efeito de ${light}`),
    recalled: ({ preset }) => `chamou ${preset}`,
    saved: ({ preset }) => `salvou ${preset}`,
    forgot: ({ preset }) => `esqueceu ${preset}`,
    timer: ({ timer }) => `criou o timer ${timer}`,
    cancelled: ({ timer }) => `removeu o timer ${timer}`,
    said: ({ text }) => `“${text}”`,
  },
};
const words = WORDS[language];

export class Activity {
  #house;
  #here;
  #log;
  #drawn;

  constructor(section, house) {
    this.#house = house;
    section.insertAdjacentHTML("beforeend", `
      <h3>${words.title}</h3>
      <p class="here" role="status"></p>
      <label><span>${words.me}</span> <input class="me" type="text" maxlength="40" autocomplete="off" enterkeyhint="done"></label>
      <form class="save">
        <input type="text" maxlength="200" required autocomplete="off" enterkeyhint="send" aria-label="${words.say}" placeholder="${words.say}">
        <button>${words.send}</button>
      </form>
      <ul class="list"></ul>`);
    const part = (selector) => section.querySelector(selector);
    const [me, form, say] = [".me", "form", "form input"].map(part);
    [this.#here, this.#log] = [".here", "ul"].map(part);
    me.value = house.name;
    me.addEventListener("change", () => (house.name = me.value.trim()));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      house.tell({ say: say.value.trim() });
      say.value = "";
    });
  }

  draw() {
    const { here, activity } = this.#house;
    this.#here.textContent = here.length ? words.here(here.join(", ")) : words.nobody;
    if (this.#drawn === activity) return;
    this.#drawn = activity;
    // A change is told once it rests, so it may come after what was done later.
    const newest = [...activity].reverse().sort((one, other) => other.at - one.at);
    this.#log.replaceChildren(...newest.map((entry) => this.#item(entry)));
  }

  #item(entry) {
    const item = document.createElement("li");
    const text = document.createElement("span");
    const time = document.createElement("small");
    const light = this.#house.lights.get(entry.light)?.title ?? entry.light;
    const effect = pageWords.effects[entry.effect] ?? entry.effect;
    const who = entry.who ?? words.via[entry.via] ?? words.someone;
    text.textContent = `${who} ${words[entry.what]?.({ ...entry, effect }, light) ?? entry.what}`;
    time.textContent = new Date(entry.at * 1000).toLocaleTimeString(language, { hour: "2-digit", minute: "2-digit" });
    item.append(text, time);
    return item;
  }
}
