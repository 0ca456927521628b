// The effects in the sheet.

import { button } from "../elements.js";
import { words as pageWords, written } from "../words.js";
import { words } from "./words.js";

/** @typedef {import("../lights/light.js").Light} Light */

// The effects of the chosen lights: a button for each, the speed, and how long a sunrise takes.
export class Effects {
  #section;
  #chosen;
  /**
   * Effect, or null for none → its button.
   * @type {Map<string | null, HTMLButtonElement>}
   */
  #chips = new Map();
  #speed;
  #sunrise;
  #minutes;
  // Somebody is dragging the speed.
  #dragging = false;

  /**
   * @param {HTMLElement} section
   * @param {() => Light[]} chosen returns the lights that are chosen
   */
  constructor(section, chosen) {
    this.#section = section;
    this.#chosen = chosen;
    this.#speed = section.querySelector("#speed");
    this.#sunrise = section.querySelector("form");
    this.#minutes = this.#sunrise.querySelector("input");
    this.#addChip(null, words.none);
    for (const [effect, word] of Object.entries(pageWords.effects)) this.#addChip(effect, word);

    this.#sunrise.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#change({ effect: "sunrise", transition: this.#minutes.valueAsNumber * 60 });
      this.#unfold(false);
    });
    this.#speed.addEventListener("input", () => {
      this.#dragging = true;
      this.#showSpeed();
    });
    this.#speed.addEventListener("change", () => {
      this.#dragging = false;
      const speed = this.#speed.valueAsNumber;
      for (const light of this.#chosen())
        if (light.effect && light.effect !== "sunrise") light.send({ effect: light.effect, speed });
    });
  }

  draw() {
    const lights = this.#chosen();
    for (const [effect, chip] of this.#chips)
      chip.setAttribute("aria-pressed", `${lights.every((light) => light.effect === effect)}`);
    this.#speed.max = `${Math.min(...lights.map(({ fastest }) => fastest))}`;
    const playing = lights.find(({ effect }) => effect && effect !== "sunrise");
    if (playing && !this.#dragging) this.#speed.value = `${playing.speed}`;
    this.#showSpeed();
  }

  /**
   * @param {string | null} effect
   * @param {string} word
   */
  #addChip(effect, word) {
    const isSunrise = effect === "sunrise";
    const chip = button("chip", isSunrise ? `${word}…` : word);
    this.#chips.set(effect, chip);
    this.#section.querySelector(".chips").append(chip);
    if (isSunrise) chip.setAttribute("aria-expanded", "false");
    chip.addEventListener("click", () => {
      if (isSunrise) this.#unfold(!!this.#sunrise.hidden);
      else this.#change(effect ? { effect, speed: this.#speed.valueAsNumber } : { effect });
    });
  }

  /** @param {boolean} open */
  #unfold(open) {
    this.#sunrise.hidden = !open;
    const chip = this.#chips.get("sunrise");
    chip?.setAttribute("aria-expanded", `${open}`);
    (open ? this.#minutes : chip)?.focus();
  }

  /** @param {import("../connection.js").Change} change */
  #change(change) {
    for (const light of this.#chosen()) light.send(change);
  }

  #showSpeed() {
    const speed = `${written(this.#speed.valueAsNumber)}×`;
    this.#section.querySelector("output").textContent = speed;
    this.#speed.setAttribute("aria-valuetext", speed);
  }
}
