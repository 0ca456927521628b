// The presets: each to recall and to forget, and a name to save the lights under.

import { button, fill, words } from "./sheet-parts.js";

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
