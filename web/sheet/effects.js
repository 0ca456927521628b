// What the sheet has for lights at once: effects and presets.

import { button, fill, words } from "./parts.js";
import { words as pageWords, written } from "../words.js";

// The effects of the chosen lights: a button for each, the speed, and what a sunrise takes.
export class Effects {
  #section;
  #chosen;
  #chips = new Map(); // effect, or null → its button
  #speed;
  #sunrise;
  #speeding = false; // somebody has the slider in hand

  // `chosen` returns the lights that are meant.
  constructor(section, chosen) {
    this.#section = section;
    this.#chosen = chosen;
    this.#speed = section.querySelector("[type=range]");
    this.#sunrise = section.querySelector("form");
    for (const [effect, word] of [[null, words.none], ...Object.entries(pageWords.effects)]) this.#chip(effect, word);

    this.#sunrise.addEventListener("submit", (event) => {
      event.preventDefault();
      const minutes = this.#sunrise.querySelector("input").valueAsNumber;
      this.#each({ effect: "sunrise", transition: minutes * 60 });
      this.#unfold(false);
    });
    this.#speed.addEventListener("input", () => {
      this.#speeding = true;
      this.#say();
    });
    this.#speed.addEventListener("change", () => {
      this.#speeding = false;
      const speed = this.#speed.valueAsNumber;
      for (const light of this.#chosen())
        if (light.effect && light.effect !== "sunrise") light.send({ effect: light.effect, speed });
    });
  }

  draw() {
    const lights = this.#chosen();
    for (const [effect, chip] of this.#chips)
      chip.setAttribute("aria-pressed", lights.every((light) => light.effect === effect));
    this.#speed.max = Math.min(...lights.map(({ fastest }) => fastest));
    const playing = lights.find(({ effect }) => effect && effect !== "sunrise");
    if (playing && !this.#speeding) this.#speed.value = playing.speed;
    this.#say();
  }

  #chip(effect, word) {
    const chip = button("chip", effect === "sunrise" ? `${word}…` : word);
    this.#chips.set(effect, chip);
    this.#section.querySelector(".chips").append(chip);
    if (effect === "sunrise") chip.setAttribute("aria-expanded", false);
    chip.addEventListener("click", () => {
      if (effect === "sunrise") this.#unfold(this.#sunrise.hidden);
      else this.#each(effect ? { effect, speed: this.#speed.valueAsNumber } : { effect });
    });
  }

  #unfold(open) {
    this.#sunrise.hidden = !open;
    const chip = this.#chips.get("sunrise");
    chip.setAttribute("aria-expanded", open);
    (open ? this.#sunrise.querySelector("input") : chip).focus();
  }

  #each(change) {
    for (const light of this.#chosen()) light.send(change);
  }

  #say() {
    const speed = `${written(this.#speed.valueAsNumber)}×`;
    this.#section.querySelector("output").textContent = speed;
    this.#speed.setAttribute("aria-valuetext", speed);
  }
}

// Each preset to recall and to forget, and a name to save the lights under.
export class Presets {
  #house;
  #list;
  #form;

  constructor(section, house) {
    this.#house = house;
    this.#list = section.querySelector("ul");
    this.#form = section.querySelector("form");
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      const name = this.#form.querySelector("input");
      house.tell({ save: name.value.trim() });
      name.value = "";
    });
  }

  draw() {
    const input = this.#form.querySelector("input");
    fill(this.#list, this.#house.presets, (name) => name, (name) => this.#item(name), input);
    this.#list.hidden = !this.#house.presets.length;
  }

  #item(name) {
    const item = document.createElement("li");
    const recall = button("chip", name);
    const forget = button("forget", "×", words.forget(name));
    recall.addEventListener("click", () => this.#house.tell({ recall: name }));
    forget.addEventListener("click", () => {
      if (forget.textContent === words.sure) this.#house.tell({ forget: name });
      else forget.textContent = words.sure;
    });
    // A preset is soon forgotten, so it is asked for twice.
    const keep = () => (forget.textContent = "×");
    forget.addEventListener("blur", keep);
    recall.addEventListener("click", keep);
    item.append(recall, forget);
    return item;
  }
}
