// The presets in the sheet: each to recall and to forget, and a name to save the lights under.

import { button, fill } from "../elements.js";
import { words } from "./words.js";

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
    const remove = button("forget", "×", words.forget(name));
    recall.addEventListener("click", () => this.#hub.send({ recall: name }));
    remove.addEventListener("click", async () => {
      const undo = await import("../bar/undo.js").catch(() => null);
      undo?.forget(name, this.#hub);
    });
    item.append(recall, remove);
    return item;
  }
}
