// The sheet over the bottom of the page. It is loaded when it is first opened, and draws what the service
// says only while it is open.

import { Effects, Presets } from "./effects.js";
import { translate } from "./parts.js";
import { Timers } from "./timers.js";
import { words } from "../words.js";

const PULL = 24; // pixels past the head of the sheet

export class Sheet {
  #dialog;
  #house;
  #which;
  #parts;

  // Resolves to the sheet when its looks are there too.
  static async load(house) {
    await style("sheet/sheet.css");
    const dialog = document.querySelector("#sheet").content.firstElementChild;
    document.body.append(dialog);
    return new Sheet(dialog, house);
  }

  constructor(dialog, house) {
    this.#dialog = dialog;
    this.#house = house;
    this.#which = dialog.querySelector("select");
    translate(dialog);
    const part = (name) => dialog.querySelector(`.${name}`);
    this.#parts = [
      new Effects(part("effects"), () => this.#lights()),
      new Presets(part("presets"), house),
      new Timers(part("timers"), house, () => this.#light()),
    ];
    const who = part("activity");
    who.firstElementChild.addEventListener("click", ({ target }) => this.#add(target, who));
    this.#which.addEventListener("change", () => this.draw());
    part("close").addEventListener("click", () => dialog.close());
    dialog.querySelector("header").addEventListener("pointermove", (event) => this.#pull(event));
    // The sheet itself has no padding: a click on the dialog is one beside it.
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  }

  async #add(opener, section) {
    const module = await import("./activity.js").catch(() => null);
    if (!module || !opener.isConnected) return;
    this.#parts.push(new module.Activity(section, this.#house));
    this.draw();
    opener.remove();
    section.querySelector("input").focus();
  }

  get isOpen() {
    return this.#dialog.open;
  }

  open() {
    this.complain("");
    this.draw();
    if (!this.isOpen) this.#dialog.showModal();
  }

  draw() {
    this.#dialog.querySelector("fieldset").disabled = !this.#house.live;
    this.#offer();
    if (this.#house.lights.size) for (const part of this.#parts) part.draw();
  }

  complain(message) {
    this.#dialog.querySelector(".said").textContent = message;
  }

  // Pulled down by its head, it goes.
  #pull({ buttons, clientY, currentTarget }) {
    if (buttons && clientY > currentTarget.getBoundingClientRect().bottom + PULL) this.#dialog.close();
  }

  // All lights, and each.
  #offer() {
    const options = [["", words.all], ...[...this.#house.lights].map(([name, { title }]) => [name, title])];
    const key = JSON.stringify(options);
    this.#dialog.querySelector(".which").hidden = this.#house.lights.size < 2;
    if (this.#which.dataset.key === key) return;
    const before = this.#which.value;
    this.#which.dataset.key = key;
    this.#which.replaceChildren(...options.map(([name, title]) => new Option(title, name)));
    this.#which.value = this.#house.lights.has(before) ? before : "";
  }

  // The name of the chosen light; none if all are.
  #light() {
    const names = [...this.#house.lights.keys()];
    return names.length === 1 ? names[0] : this.#which.value || undefined;
  }

  #lights() {
    const name = this.#light();
    return name ? [this.#house.lights.get(name)] : [...this.#house.lights.values()];
  }
}

function style(href) {
  const link = Object.assign(document.createElement("link"), { rel: "stylesheet", href });
  return new Promise((resolve, reject) => {
    link.onload = resolve;
    link.onerror = reject;
    document.head.append(link);
  });
}
