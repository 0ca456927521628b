// A light on the screen: its lamp, number, slider and buttons, and what it is doing. The master is one too.

import { Slider, repeatWhileHeld } from "./slider.js";
import { words, written } from "../words.js";

const LONG = 2; // seconds of a transition, above which the time left is shown

/** @typedef {import("../connection.js").Change} Change */
/**
 * What a light calls: `start` when a drag begins, `busy` to ask whether a change is not handled yet, `changed` after
 * something new is shown. `interval` is that of the slider.
 * @typedef {{ send(change: Change): void, start(): void, busy(): boolean, changed(): void,
 *   readonly interval?: number }} LightEvents
 */

export class Light {
  name = "";
  title = "";
  simulated = false;
  online = true;
  // Of another dimmer's light: the service has named it since the last hello.
  told = false;
  /** @type {string | null} */
  fault = null;
  /** @type {string | null} */
  effect = null;
  speed = 1;
  // When a long transition ends, in ms of performance.now(); 0 without one.
  arrives = 0;
  // Seconds that a change takes unless it says otherwise.
  transition = 0;
  // The highest speed that an effect of this light may have.
  fastest = 3;
  #lamp;
  #input;
  #name;
  #digits;
  #unit;
  #doing;
  #controls;
  /** @type {HTMLElement | null} */
  #focused = null;
  #left = "";
  #changed;

  /** @param {LightEvents} on */
  constructor(on) {
    this.send = on.send;
    this.#changed = on.changed;
    const section = document.importNode(document.querySelector("#light").content.querySelector(".light"), true);
    this.section = section;
    this.#lamp = section.querySelector(".lamp");
    this.#input = section.querySelector("input");
    this.#name = section.querySelector(".name");
    this.#digits = section.querySelector(".digits");
    this.#unit = section.querySelector(".unit");
    this.#doing = section.querySelector(".doing");
    const more = section.querySelector(".more"), less = section.querySelector(".less");
    this.#controls = { light: this.#lamp, level: this.#input, more, less };

    this.slider = new Slider(section, {
      show: (level) => this.#showLevel(level),
      send: (level) => {
        on.send({ level });
        // The service does not send this page its own level back: what a level does is known without.
        this.#setActivity(null, 1, this.transition);
      },
      start: on.start,
      get interval() {
        return on.interval;
      },
    });
    repeatWhileHeld(more, () => on.send({ step: 1 }), on.busy);
    repeatWhileHeld(less, () => on.send({ step: -1 }), on.busy);
    this.#lamp.addEventListener("click", () => on.send({ toggle: true }));
    section.addEventListener("contextmenu", (event) => event.preventDefault());
  }

  /**
   * Takes the state that the service sends.
   * @param {{ level: number, effect?: string | null, speed?: number, left?: number }} state
   */
  update({ level, effect = null, speed = 1, left = 0 }) {
    this.slider.receive(level);
    this.#setActivity(effect, speed, left);
  }

  /**
   * @param {string} title
   * @param {boolean} several whether the page has other lights, so that each shows its title
   */
  label(title, several) {
    this.title = title;
    this.#name.hidden = !several;
    this.#name.textContent = title;
    for (const [key, control] of Object.entries(this.#controls)) {
      const word = words[/** @type {"light"} */ (key)];
      control.setAttribute("aria-label", several ? `${title}: ${word}` : word);
    }
  }

  /**
   * The time that the transition still takes, in words.
   * @param {string} left
   */
  set left(left) {
    if (left === this.#left) return;
    this.#left = left;
    this.#showActivity();
  }

  /** @param {boolean} live */
  set live(live) {
    live &&= this.online;
    this.slider.live = live;
    const controls = Object.values(this.#controls);
    // A disabled control loses the focus, and gets it back below.
    if (!live) this.#focused = controls.find((control) => control === document.activeElement) ?? this.#focused;
    for (const control of controls) control.disabled = !live;
    this.#input.setAttribute("aria-disabled", `${!live}`);
    if (!live) return;
    if (document.activeElement === document.body) this.#focused?.focus({ preventScroll: true });
    this.#focused = null;
  }

  /** @param {number} level */
  #showLevel(level) {
    this.section.style.setProperty("--level", `${level}`);
    this.#digits.textContent = level ? written(level) : words.off;
    this.#unit.textContent = level ? " %" : "";
    this.#lamp.setAttribute("aria-pressed", `${level > 0}`);
    this.#input.value = `${level}`;
    this.#updateValueText();
    this.#changed();
  }

  /**
   * @param {string | null} effect
   * @param {number} speed
   * @param {number} left in seconds
   */
  #setActivity(effect, speed, left) {
    const arrives = left > LONG ? performance.now() + left * 1000 : 0;
    if (effect === this.effect && speed === this.speed && !arrives && !this.arrives) return;
    Object.assign(this, { effect, speed, arrives });
    if (!arrives) this.#left = "";
    this.#showActivity();
    this.#changed();
  }

  get #effectWord() {
    return this.effect && words.effects[this.effect];
  }

  #showActivity() {
    const effect = this.#effectWord;
    const speed = this.speed !== 1 && `${written(this.speed)}×`;
    this.#doing.textContent = [effect, effect && speed, this.#left].filter(Boolean).join(" · ");
    this.#updateValueText();
  }

  #updateValueText() {
    const { level } = this.slider;
    const spoken = level ? words.percent(written(level)) : words.off.toLowerCase();
    const effect = this.#effectWord?.toLowerCase();
    this.#input.setAttribute("aria-valuetext", effect ? `${spoken}, ${effect}` : spoken);
  }
}
