// A light on the screen: its lamp, number, slider and buttons, and what it is doing. The master is one too.

import { Slider, holdable } from "./slider.js";
import { words, written } from "../words.js";

const LONG = 2; // seconds of a transition, from which on the time left is shown

export class Light {
  simulated = false;
  online = true;
  fault = null;
  effect = null;
  speed = 1;
  arrives = 0; // ms of performance.now() at which a long transition ends
  transition = 0; // seconds, of its own
  fastest = 3;
  #part;
  #lamp;
  #input;
  #controls;
  #focused;
  #left = "";
  #changed;

  // `on` has send(change), start(), called when a drag begins, busy(), whether a change is on its way,
  // changed(), called after something new is shown, and perhaps `every` of a Slider.
  constructor(on) {
    this.section = document.querySelector("#light").content.cloneNode(true).firstElementChild;
    this.#part = (selector) => this.section.querySelector(selector);
    this.#changed = on.changed;
    const [input, lamp, more, less] = ["input", ".lamp", ".more", ".less"].map(this.#part);
    this.#input = input;
    this.#lamp = lamp;
    this.#controls = { light: lamp, level: input, more, less };

    this.slider = new Slider(this.section, {
      show: (level) => this.#show(level),
      send: (level) => {
        on.send({ level });
        // The service does not tell us what came of our own level, as it is this.
        this.#does(null, 1, this.transition);
      },
      start: on.start,
      get every() {
        return on.every;
      },
    });
    holdable(more, () => on.send({ step: 1 }), on.busy);
    holdable(less, () => on.send({ step: -1 }), on.busy);
    lamp.addEventListener("click", () => on.send({ toggle: true }));
    this.section.addEventListener("contextmenu", (event) => event.preventDefault());
  }

  // What the service says about it.
  follow({ level, effect = null, speed = 1, left = 0 }) {
    this.slider.follow(level);
    this.#does(effect, speed, left);
  }

  label(title, several) {
    this.title = title;
    this.#part(".name").hidden = !several;
    this.#part(".name").textContent = title;
    for (const [word, control] of Object.entries(this.#controls))
      control.setAttribute("aria-label", several ? `${title}: ${words[word]}` : words[word]);
  }

  // How long the transition still takes, in words.
  set left(left) {
    if (left === this.#left) return;
    this.#left = left;
    this.#say();
  }

  set live(live) {
    live &&= this.online;
    this.slider.live = live;
    const controls = Object.values(this.#controls);
    // A disabled control loses the focus: it gets it back.
    if (!live && this.section.contains(document.activeElement)) this.#focused = document.activeElement;
    for (const control of controls) control.disabled = !live;
    this.#input.setAttribute("aria-disabled", !live);
    if (!live) return;
    if (document.activeElement === document.body) this.#focused?.focus({ preventScroll: true });
    this.#focused = null;
  }

  #show(level) {
    this.section.style.setProperty("--level", level);
    this.#part(".digits").textContent = level ? written(level) : words.off;
    this.#part(".unit").textContent = level ? " %" : "";
    this.#lamp.setAttribute("aria-pressed", level > 0);
    this.#input.value = level;
    this.#speak();
    this.#changed();
  }

  #does(effect, speed, left) {
    const arrives = left > LONG ? performance.now() + left * 1000 : 0;
    if (effect === this.effect && speed === this.speed && !arrives && !this.arrives) return;
    Object.assign(this, { effect, speed, arrives });
    if (!arrives) this.#left = "";
    this.#say();
    this.#changed();
  }

  #say() {
    const effect = words.effects[this.effect];
    const speed = this.speed !== 1 && `${written(this.speed)}×`;
    this.#part(".doing").textContent = [effect, effect && speed, this.#left].filter(Boolean).join(" · ");
    this.#speak();
  }

  #speak() {
    const { level } = this.slider;
    const said = level ? words.percent(written(level)) : words.off.toLowerCase();
    const effect = words.effects[this.effect]?.toLowerCase();
    this.#input.setAttribute("aria-valuetext", effect ? `${said}, ${effect}` : said);
  }
}
