// A light on the screen: its lamp, number, slider and buttons, and what it is doing. The master is one too.

import { Slider, placeOf, repeatWhileHeld } from "./slider.js";
import { words, written } from "../words.js";

const SHORT = 0.2; // seconds in which a level is shown that the light has at once
const LONG = 2; // seconds of a transition, above which the time left is shown
const NAMED = 3000; // ms for which the light shows who else has set it

const SAFE_SPEED = 3; // flashes a second at most, on the screen

// How many lamps have a gradient of their own.
let warmLights = 0;

/**
 * How bright the lamp looks, from 0 to 1. The first percent is visible, as with a real LED.
 * @param {number} level
 */
const shine = (level) => Math.min(1, level) * 0.12 + Math.min(1, level / 10) * 0.23 + (level / 100) * 0.65;

/** @typedef {import("../connection.js").Change} Change */
/**
 * What a light calls: `start` when a drag begins, `busy` to ask whether a change is not handled yet, `changed` after
 * something new is shown, `open` when the light of a tile shall be shown large. `inTurn` and
 * `interval` are those of the slider.
 * @typedef {{ send(change: Change): void, start(): void, busy(): boolean, changed(): void, open?(): void,
 *   inTurn?(turn: import("./slider.js").Turn): void, interval?: number }} LightEvents
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
  // The light in the room, and that in the lamp.
  #glow;
  #lit;
  #slide;
  #name;
  #digits;
  #unit;
  #doing;
  #controls;
  /** @type {HTMLElement | null} */
  #focused = null;
  #left = "";
  // Who else has just set it, and to what.
  #by = "";
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #byTimer;
  // Seconds that the lamp takes for what it shows.
  #takes = 0;
  // The service has told its state, so that the next one is a change.
  #known = false;
  /** @type {Element | null} */
  #inside = null;
  #changed;

  /** @param {LightEvents} on */
  constructor(on) {
    this.send = on.send;
    this.#changed = on.changed;
    const section = document.importNode(document.querySelector("#light").content.querySelector(".light"), true);
    this.section = section;
    this.#lamp = section.querySelector(".lamp");
    this.#input = section.querySelector("input");
    this.#glow = section.querySelector(".glow");
    this.#lit = section.querySelector(".lit");
    this.#slide = section.querySelector(".slide");
    this.#name = section.querySelector(".name");
    this.#digits = section.querySelector(".digits");
    this.#unit = section.querySelector(".unit");
    this.#doing = section.querySelector(".doing");
    const more = section.querySelector(".more"), less = section.querySelector(".less");
    this.#controls = { light: this.#lamp, level: this.#input, more, less };

    this.slider = new Slider(section, {
      move: (level) => this.#move(level),
      show: (level, isPassing) => this.#showLevel(level, isPassing),
      send: (level, glide = 0) => {
        const slower = glide > this.transition;
        on.send(slower ? { level, transition: glide } : { level });
        // The service does not send this page its own level back: what a level does is known without.
        this.#setActivity(null, 1, slower ? glide : this.transition);
      },
      start: on.start,
      tap: () => on.send({ toggle: true }),
      hold: on.open,
      inTurn: on.inTurn,
      interval: on.interval,
    });
    for (const [button, step] of /** @type {const} */ ([[more, 1], [less, -1]])) {
      let began = 0;
      repeatWhileHeld(button, {
        begin: () => (began = this.slider.level),
        step: () => on.send({ step }),
        cancel: () => this.slider.goBack(began),
        busy: on.busy,
      });
    }
    this.#lamp.addEventListener("click", () => on.send({ toggle: true }));
    this.#input.addEventListener("keydown", ({ key, repeat }) => {
      if (repeat || this.#input.disabled) return;
      if (key === "Enter" && this.slider.tile && on.open) on.open();
      else if (key === "Enter" || key === " ") on.send({ toggle: true });
    });
    section.addEventListener("contextmenu", (event) => event.preventDefault());
  }

  /**
   * Takes the state that the service sends; `by` is somebody else who has set it.
   * @param {{ level: number, effect?: string | null, speed?: number, left?: number, by?: string }} state
   */
  update({ level, effect = null, speed = 1, left = 0, by }) {
    const isNews = this.#known && (level !== this.slider.level || effect !== this.effect);
    this.slider.receive(level);
    this.#setActivity(effect, speed, left);
    if (by && isNews) this.#showBy(by, level, effect);
    this.#known = true;
  }

  /**
   * @param {string} by
   * @param {number} level
   * @param {string | null} effect
   */
  #showBy(by, level, effect) {
    const what = effect ? words.effects[effect] : level ? `${written(level)} %` : words.off;
    // The direction of the letters of a name does not spread to the words beside it.
    this.#by = `\u2068${by}\u2069: ${what}`;
    this.#showActivity();
    clearTimeout(this.#byTimer);
    this.#byTimer = setTimeout(() => {
      this.#by = "";
      this.#showActivity();
    }, NAMED);
  }

  /**
   * @param {string} title
   * @param {boolean} several whether the page has other lights, so that its controls say of which they are
   */
  label(title, several) {
    this.title = title;
    this.#name.textContent = title;
    for (const [key, control] of Object.entries(this.#controls)) {
      const word = words[/** @type {"light"} */ (key)];
      control.setAttribute("aria-label", several ? `${title}: ${word}` : word);
    }
  }

  /**
   * The colour of its LED; `undefined` for the usual one.
   * @param {string | undefined} colour
   */
  set warmth(colour) {
    const { classList, style } = this.section;
    if (colour && !this.#inside) {
      // The gradient inside the shade has the colours of where it stands, not of where it is used.
      this.#inside = /** @type {Element} */ (document.querySelector(".paint")?.firstElementChild?.cloneNode(true));
      this.#inside.id = `inside-${(warmLights += 1)}`;
      this.#lit.prepend(this.#inside);
      this.#lit.querySelector("[fill]")?.setAttribute("fill", `url(#${this.#inside.id})`);
    }
    classList.toggle("warm", !!colour);
    style.setProperty("--warmth", colour ?? "");
  }

  /**
   * Whether it is a tile among many.
   * @param {boolean} tile
   */
  set tile(tile) {
    this.slider.tile = tile;
    this.#move(this.slider.level);
    this.#shine(this.slider.level);
    this.#input.setAttribute("aria-orientation", tile ? "horizontal" : "vertical");
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

  /**
   * Moves the fill of the track, by a transform that is written here: one by a property of the style sheet takes the
   * browser twice the time.
   * @param {number} level
   */
  #move(level) {
    const rest = (1 - placeOf(level)) * 100;
    this.#slide.style.transform = this.slider.tile ? `translateX(${-rest}%)` : `translateY(${rest}%)`;
  }

  /**
   * Lets the lamp shine. A tile has no light in the room.
   * @param {number} level
   */
  #shine(level) {
    if (!this.slider.tile) this.#glow.style.opacity = `${shine(level)}`;
    this.#lit.style.opacity = `${Math.min(1, shine(level) * 1.7)}`;
  }

  /**
   * Shows all but the place of the fill.
   * @param {number} level
   * @param {boolean} [isPassing] for a moment, too short to speak of it
   */
  #showLevel(level, isPassing) {
    this.#shine(level);
    write(this.#digits, level ? written(level) : words.off);
    write(this.#unit, level ? " %" : "");
    const pressed = `${level > 0}`;
    if (this.#lamp.getAttribute("aria-pressed") !== pressed) this.#lamp.setAttribute("aria-pressed", pressed);
    if (!isPassing) {
      this.#input.value = `${level}`;
      this.#updateValueText();
    }
    this.#changed();
  }

  /**
   * @param {string | null} effect
   * @param {number} speed
   * @param {number} left in seconds
   */
  #setActivity(effect, speed, left) {
    if (left || this.#takes) this.#retime(left);
    const arrives = left > LONG ? performance.now() + left * 1000 : 0;
    if (effect === this.effect && speed === this.speed && !arrives && !this.arrives) return;
    this.#play(effect, speed, left);
    Object.assign(this, { effect, speed, arrives });
    if (!arrives) this.#left = "";
    this.#showActivity();
    this.#changed();
  }

  /**
   * Lets what the lamp is on its way to arrive when the light does. The way may have begun with another time.
   * @param {number} left
   */
  #retime(left) {
    this.#takes = left;
    const parts = [this.#glow, this.#lit];
    for (const { style } of parts) style.transitionDuration = `${left || SHORT}s`;
    for (const way of parts.flatMap((part) => part.getAnimations())) {
      const rest = Number(way.effect?.getComputedTiming().endTime) - Number(way.currentTime);
      if (left) way.updatePlaybackRate(rest / (left * 1000));
      else way.finish();
    }
  }

  /**
   * Lets the lamp do what the pin does. A sunrise that has begun before this page knew of it has no known beginning,
   * and what may not flash on the screen does not.
   * @param {string | null} effect
   * @param {number} speed
   * @param {number} left
   */
  #play(effect, speed, left) {
    const { dataset, style } = this.section;
    const isShown = effect === "sunrise" ? this.#known : speed <= SAFE_SPEED;
    if (effect && isShown) dataset.effect = effect;
    else delete dataset.effect;
    style.setProperty("--speed", `${speed}`);
    style.setProperty("--rise", `${left}s`);
  }

  get #effectWord() {
    return this.effect && words.effects[this.effect];
  }

  #showActivity() {
    const effect = this.#effectWord;
    const speed = this.speed !== 1 && `${written(this.speed)}×`;
    write(this.#doing, this.#by || [effect, effect && speed, this.#left].filter(Boolean).join(" · "));
    this.#updateValueText();
  }

  #updateValueText() {
    const { level } = this.slider;
    const spoken = level ? words.percent(written(level)) : words.off.toLowerCase();
    const effect = this.#effectWord?.toLowerCase();
    this.#input.setAttribute("aria-valuetext", effect ? `${spoken}, ${effect}` : spoken);
  }
}

/**
 * Changes a text, if it is another. That is cheaper than another text in its place, and screen readers speak whatever
 * is written, even if it is the same again.
 * @param {HTMLElement} element
 * @param {string} text
 */
export function write(element, text) {
  const node = element.firstChild;
  if (!node) element.textContent = text;
  else if (node.nodeValue !== text) node.nodeValue = text;
}
