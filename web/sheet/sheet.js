// The sheet over the bottom of the page. It is loaded when it is first opened, and drawn only while it is open.

import { Effects, Presets } from "./effects.js";
import { loadStyle, translate } from "./parts.js";
import { Timers } from "./timers.js";
import { words } from "../words.js";

/** @typedef {import("../main.js").Hub} Hub */

const PULL = 24; // pixels past the head of the sheet

export class Sheet {
  #dialog;
  #hub;
  #select;
  /** @type {{ draw(): void }[]} */
  #parts;

  /**
   * Resolves once the style sheet is loaded as well.
   * @param {Hub} hub
   */
  static async load(hub) {
    await loadStyle();
    const dialog = document.querySelector("#sheet").content.querySelector("dialog");
    document.body.append(dialog);
    return new Sheet(dialog, hub);
  }

  /**
   * @param {HTMLDialogElement} dialog
   * @param {Hub} hub
   */
  constructor(dialog, hub) {
    this.#dialog = dialog;
    this.#hub = hub;
    this.#select = dialog.querySelector("select");
    translate(dialog);
    this.#parts = [
      new Effects(dialog.querySelector(".effects"), () => this.#chosenLights()),
      new Presets(dialog.querySelector(".presets"), hub),
      new Timers(dialog.querySelector(".timers"), hub, () => this.#chosenName()),
    ];
    const activity = dialog.querySelector(".activity"), who = activity.querySelector("button");
    who.addEventListener("click", () => this.#addActivity(who, activity));
    this.#select.addEventListener("change", () => this.draw());
    dialog.querySelector(".close").addEventListener("click", () => dialog.close());
    const head = dialog.querySelector("header");
    head.addEventListener("pointermove", (event) => this.#pull(event, head));
    // The dialog has no padding, so a click whose target is the dialog itself is one on the backdrop.
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  }

  /**
   * @param {HTMLButtonElement} opener
   * @param {HTMLElement} section
   */
  async #addActivity(opener, section) {
    const module = await import("./activity.js").catch(() => null);
    if (!module || !opener.isConnected) return;
    this.#parts.push(new module.Activity(section, this.#hub));
    this.draw();
    opener.remove();
    section.querySelector("input").focus();
  }

  get isOpen() {
    return this.#dialog.open;
  }

  open() {
    this.showError("");
    this.draw();
    if (!this.isOpen) this.#dialog.showModal();
  }

  draw() {
    this.#dialog.querySelector("fieldset").disabled = !this.#hub.live;
    this.#drawOptions();
    if (this.#hub.lights.size) for (const part of this.#parts) part.draw();
  }

  /** @param {string} message */
  showError(message) {
    this.#dialog.querySelector(".said").textContent = message;
  }

  /**
   * Closes the sheet when a finger pulls it down by its head.
   * @param {PointerEvent} event
   * @param {HTMLElement} head
   */
  #pull({ buttons, clientY }, head) {
    if (buttons && clientY > head.getBoundingClientRect().bottom + PULL) this.#dialog.close();
  }

  // All lights, and each.
  #drawOptions() {
    const { lights } = this.#hub;
    const options = [["", words.all], ...[...lights].map(([name, { title }]) => [name, title])];
    const key = JSON.stringify(options);
    this.#dialog.querySelector(".which").hidden = lights.size < 2;
    if (this.#select.dataset.key === key) return;
    const before = this.#select.value;
    this.#select.dataset.key = key;
    this.#select.replaceChildren(...options.map(([name, title]) => new Option(title, name)));
    this.#select.value = lights.has(before) ? before : "";
  }

  // The name of the chosen light, or undefined for all.
  #chosenName() {
    const names = [...this.#hub.lights.keys()];
    return names.length === 1 ? names[0] : this.#select.value || undefined;
  }

  #chosenLights() {
    const name = this.#chosenName();
    return [...this.#hub.lights.values()].filter((light) => !name || light.name === name);
  }
}
