// The slider of all lights together: shows the highest level, and scales all from where they were when
// the gesture began, so that they come back from 0 as they were.

import { Light } from "./light.js";
import { words } from "../words.js";

const EVERY = 33, EACH = 2; // ms, for all and for each light: at most some 500 changes a second, half of what the service reads at once

export class Master {
  #all; // a function: the lights that can be reached
  #lights; // those of the gesture
  #from = null; // the level of each light when the gesture began
  #put = null; // the level that each light has by this gesture
  #scaling = false;

  constructor(all, connection) {
    this.#all = all;
    this.light = new Light({
      send: (change) => this.#change(change),
      start: () => {
        connection.inUse();
        this.#begin();
      },
      busy: () => all().some(({ name }) => connection.unseen(name)),
      changed: () => {},
      get every() {
        return Math.max(EVERY, EACH * all().length);
      },
    });
    const { section } = this.light;
    section.classList.add("master");
    section.addEventListener("focusout", ({ relatedTarget }) => {
      if (!section.contains(relatedTarget)) this.#from = null;
    });
    const [lamp, svg] = [".lamp", ".lamp svg"].map((part) => section.querySelector(part));
    lamp.append(svg.cloneNode(true), svg.cloneNode(true));
    this.light.label(words.all, true);
  }

  // After a light has changed.
  follow() {
    if (!this.#scaling) this.light.slider.follow(this.#highest());
  }

  #highest() {
    return Math.max(0, ...this.#all().map(({ slider }) => slider.level));
  }

  #begin() {
    this.#lights = this.#all();
    this.#from = this.#lights.map(({ slider }) => slider.level);
    this.#put = [...this.#from];
  }

  #change({ level, step }) {
    if (step) this.light.slider.step(step);
    else if (level === undefined) this.#toggle();
    else this.#scale(level);
  }

  #toggle() {
    const on = this.#highest() === 0;
    for (const light of this.#all()) light.send({ on });
  }

  #scale(level) {
    // Somebody else's change ends the gesture of keys and wheel, which has no other end.
    const moved = () => this.#lights.some(({ slider }, n) => slider.level !== this.#put[n]);
    if (!this.#from || (!this.light.slider.dragging && moved())) this.#begin();
    const highest = Math.max(0, ...this.#from);
    this.#put = this.#from.map((from) => (highest ? Math.round((from * level * 10) / highest) / 10 : level));
    this.#scaling = true;
    this.#lights.forEach(({ slider }, n) => slider.put(this.#put[n]));
    this.#scaling = false;
  }
}
