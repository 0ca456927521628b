// The slider of all lights together: shows the highest level, and scales all levels from what they were when the
// gesture began, so that the lights return from 0 in their old proportions.

import { Light } from "./light.js";
import { words } from "../words.js";

// ms between sends: at least the first, and the second for each light. That is at most some 500 changes a second,
// half of what the service reads at once.
const INTERVAL = 33, INTERVAL_PER_LIGHT = 2;

/** @typedef {import("../connection.js").Change} Change */
/** @typedef {Light & { name: string, send(change: Change): void }} NamedLight a light of a dimmer, not the master */

export class Master {
  #lights;
  /**
   * The lights of the gesture.
   * @type {NamedLight[]}
   */
  #gestureLights = [];
  /**
   * The level of each of these when the gesture began.
   * @type {number[] | null}
   */
  #startLevels = null;
  /**
   * The level that the gesture has set each of these to.
   * @type {number[]}
   */
  #setLevels = [];
  #scaling = false;

  /**
   * @param {() => NamedLight[]} lights returns those that can be reached
   * @param {import("../connection.js").Connection} connection
   */
  constructor(lights, connection) {
    this.#lights = lights;
    this.light = new Light({
      send: (change) => this.#change(change),
      start: () => {
        connection.probeInUse();
        this.#begin();
      },
      busy: () => lights().some(({ name }) => connection.isPending(name)),
      changed: () => {},
      get interval() {
        return Math.max(INTERVAL, INTERVAL_PER_LIGHT * lights().length);
      },
    });
    const { section } = this.light;
    section.classList.add("master");
    section.addEventListener("focusout", ({ relatedTarget }) => {
      if (!(relatedTarget instanceof Node && section.contains(relatedTarget))) this.#startLevels = null;
    });
    const lamp = section.querySelector(".lamp"), svg = section.querySelector(".lamp svg");
    lamp.append(svg.cloneNode(true), svg.cloneNode(true));
    this.light.label(words.all, true);
  }

  // Called after a light has changed.
  update() {
    if (!this.#scaling) this.light.slider.receive(this.#highest());
  }

  #highest() {
    return Math.max(0, ...this.#lights().map(({ slider }) => slider.level));
  }

  #begin() {
    this.#gestureLights = this.#lights();
    this.#setLevels = this.#gestureLights.map(({ slider }) => slider.level);
    this.#startLevels = this.#setLevels;
    return this.#startLevels;
  }

  /** @param {Change} change */
  #change({ level, step }) {
    if (step) this.light.slider.step(step);
    else if (level === undefined) this.#toggle();
    else this.#scale(level);
  }

  #toggle() {
    const on = this.#highest() === 0;
    for (const light of this.#lights()) light.send({ on });
  }

  /** @param {number} level */
  #scale(level) {
    // Somebody else's change ends a gesture of keys and wheel, which has no other end.
    const moved = () => this.#gestureLights.some(({ slider }, n) => slider.level !== this.#setLevels[n]);
    if (!this.light.slider.dragging && moved()) this.#startLevels = null;
    this.#setLevels = scaled(this.#startLevels ?? this.#begin(), level);
    this.#scaling = true;
    this.#gestureLights.forEach(({ slider }, n) => slider.setByMaster(this.#setLevels[n]));
    this.#scaling = false;
  }
}

/**
 * The levels in their proportions, with the highest at `level`; if all are 0, each at `level`. Rounded to 0.1.
 * @param {number[]} levels
 * @param {number} level
 */
export function scaled(levels, level) {
  const highest = Math.max(0, ...levels);
  return levels.map((each) => (highest ? Math.round((each * level * 10) / highest) / 10 : level));
}
