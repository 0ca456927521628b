// The effects and the presets in the sheet.

import { button, fill, words } from "./parts.js";
import { words as pageWords, written } from "../words.js";

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

// Each preset to recall and to forget, and a name to save the lights under.
export class Presets {
  #hub;
  #list;
  #name;

  /**
   * @param {HTMLElement} section
   * @param {import("../main.js").Hub} hub
   */
  constructor(section, hub) {
    this.#hub = hub;
    this.#list = section.querySelector("ul");
    const form = section.querySelector("form"), name = form.querySelector("input");
    this.#name = name;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      hub.send({ save: name.value.trim() });
      name.value = "";
    });
  }

  draw() {
    fill(this.#list, this.#hub.presets, (name) => name, (name) => this.#item(name), this.#name);
    this.#list.hidden = !this.#hub.presets.length;
  }

  /** @param {string} name */
  #item(name) {
    const item = document.createElement("li");
    const recall = button("chip", name);
    const forget = button("forget", "×", words.forget(name));
    recall.addEventListener("click", () => this.#hub.send({ recall: name }));
    // A preset is easily lost, so it takes a second press to forget one.
    forget.addEventListener("click", () => {
      if (forget.textContent === words.sure) this.#hub.send({ forget: name });
      else forget.textContent = words.sure;
    });
    const keep = () => (forget.textContent = "×");
    forget.addEventListener("blur", keep);
    recall.addEventListener("click", keep);
    item.append(recall, forget);
    return item;
  }
}
