// The sheet over the bottom of the page, or beside the lights where the window is wide. It is loaded when it is first
// opened, and drawn only while it is open. The lights above it stay usable until it is pulled up to its full height.

import { loadStyle } from "../elements.js";
import { words } from "../words.js";
import { Effects } from "./effects.js";
import { markup } from "./markup.js";
import { Presets } from "./presets.js";
import { Service } from "./service.js";
import { Timers } from "./timers.js";

/** @typedef {import("../main.js").Hub} Hub */
/** @typedef {{ draw(): void, open?(): void, close?(): void }} Part */

// Of the window: below the first height the sheet closes when it is let go, and above the second it is tall.
const CLOSES = 0.35, TALL = 0.65;
const FLICK = 0.5; // pixels per ms, from which on the direction counts and not the height
const LOW = 480; // pixels
const SLOP = 8; // pixels that a finger may move and still tap
const RESTS = 100; // ms without a move

export class Sheet {
  #dialog;
  #hub;
  #select;
  #handle;
  #tabs;
  #main = document.querySelector("main");
  #footer = document.querySelector("footer");
  /** @type {Part[]} */
  #parts;
  // Of the pull that is under way: where the finger is, how fast it goes upwards, and how high the sheet is; `moved` when
  // it is no tap any more.
  /** @type {{ y: number, at: number, speed: number, height: number, moved: boolean } | null} */
  #pulled = null;

  /**
   * Resolves once the style sheet is loaded as well.
   * @param {Hub} hub
   */
  static async load(hub) {
    await loadStyle("sheet/sheet.css");
    document.body.insertAdjacentHTML("beforeend", markup);
    return new Sheet(document.querySelector("#sheet"), hub);
  }

  /**
   * @param {HTMLDialogElement} dialog
   * @param {Hub} hub
   */
  constructor(dialog, hub) {
    this.#dialog = dialog;
    this.#hub = hub;
    this.#select = dialog.querySelector("select");
    this.#handle = dialog.querySelector(".handle");
    this.#tabs = [...dialog.querySelectorAll("[role=tab]")];
    const now = new Effects(dialog.querySelector(".effects"), () => this.#chosenLights());
    const presets = new Presets(dialog.querySelector(".presets"), hub);
    const timers = new Timers(dialog.querySelector(".timers"), hub, () => this.#chosenName());
    this.#parts = [now, presets, timers, new Service(dialog.querySelector(".service"), hub)];
    this.#addOnDemand(dialog.querySelector(".activity"), () => import("./activity.js").then(({ Activity }) => Activity));
    this.#addOnDemand(dialog.querySelector(".settings"), async () => {
      await loadStyle("sheet/settings/settings.css");
      return (await import("./settings/settings.js")).SettingsPart;
    });
    this.#addOnDemand(dialog.querySelector(".matter"), async () => {
      await loadStyle("sheet/matter/matter.css");
      return (await import("./matter/matter.js")).MatterPart;
    });
    this.#select.addEventListener("change", () => this.draw());
    dialog.querySelector(".close").addEventListener("click", () => this.#leave());
    addEventListener("resize", () => this.isOpen && this.#setTall(this.#isTall));
    this.#handle.addEventListener("click", () => this.#setTall(!this.#isTall));
    this.#listenToTabs();
    this.#listenToHead(dialog.querySelector(".head"));
  }

  #listenToTabs() {
    this.#tabs.forEach((tab, n) => {
      tab.addEventListener("click", () => this.#show(n));
      tab.addEventListener("keydown", ({ key }) => {
        const step = key === "ArrowRight" ? 1 : key === "ArrowLeft" ? -1 : 0;
        if (step) this.#show((n + step * (document.dir === "rtl" ? -1 : 1) + this.#tabs.length) % this.#tabs.length);
      });
    });
    this.#show(0);
  }

  /** @param {HTMLElement} head */
  #listenToHead(head) {
    head.addEventListener("pointerdown", (event) => event.isPrimary && this.#take(event));
    head.addEventListener("pointermove", (event) => event.buttons && this.pull(event, head));
    for (const type of /** @type {const} */ (["pointerup", "pointercancel"]))
      head.addEventListener(type, (event) => this.settle(event));
  }

  /**
   * Shows one of its parts, and moves the focus to its tab if that was on another.
   * @param {number} shown
   */
  #show(shown) {
    const hadFocus = this.#tabs.some((tab) => tab === document.activeElement);
    this.#tabs.forEach((tab, n) => {
      tab.setAttribute("aria-selected", `${n === shown}`);
      tab.tabIndex = n === shown ? 0 : -1;
      const part = document.getElementById(tab.getAttribute("aria-controls") ?? "");
      if (part) part.hidden = n !== shown;
    });
    if (hadFocus) this.#tabs[shown].focus();
  }

  /**
   * Puts a part in the place of the button that asks for it.
   * @param {HTMLElement} section
   * @param {() => Promise<new (section: HTMLElement, hub: Hub) => Part>} load
   */
  #addOnDemand(section, load) {
    const opener = section.querySelector("button");
    opener.addEventListener("click", async () => {
      const Part = await load().catch(() => null);
      if (!Part || !opener.isConnected) return;
      this.#parts.push(new Part(section, this.#hub));
      this.draw();
      opener.remove();
      /** @type {HTMLElement} */ (section.querySelector("h2, input")).focus();
    });
  }

  get isOpen() {
    return this.#dialog.open;
  }

  open() {
    if (this.isOpen) return;
    this.showError("");
    this.draw();
    for (const part of this.#parts) part.open?.();
    // It is there after a reload.
    if (!history.state?.sheet) history.pushState({ ...history.state, sheet: true }, "");
    document.documentElement.classList.add("sheet-open");
    this.#dialog.show();
    // In half of a low window there would be no room for it.
    this.#setTall(innerHeight < LOW);
  }

  /** Called when the browser's history has gone back. */
  close() {
    if (!this.isOpen) return;
    const hadFocus = this.#dialog.contains(document.activeElement);
    for (const part of this.#parts) part.close?.();
    this.#pulled = null;
    this.#dialog.style.height = "";
    this.#dialog.close();
    this.#main.inert = this.#footer.inert = false;
    document.documentElement.classList.remove("sheet-open");
    if (hadFocus) document.querySelector("#opener").focus({ preventScroll: true });
  }

  // Goes back to before it was opened, unless the page has gone on to a light since.
  #leave() {
    if (history.state?.sheet) history.back();
    else this.close();
  }

  draw() {
    this.#dialog.querySelector("fieldset").disabled = !this.#hub.live;
    this.#dialog.querySelector(".matter").hidden = !this.#hub.hasMatter;
    this.#drawOptions();
    if (this.#hub.lights.size) for (const part of this.#parts) part.draw();
  }

  /** @param {string} message */
  showError(message) {
    this.#dialog.querySelector(".said").textContent = message;
  }

  get #isTall() {
    return this.#dialog.classList.contains("tall");
  }

  /**
   * What a tall sheet covers cannot be reached. One beside the lights covers none.
   * @param {boolean} wanted
   */
  #setTall(wanted) {
    const tall = wanted && !isBeside();
    this.#dialog.classList.toggle("tall", tall);
    this.#handle.setAttribute("aria-pressed", `${tall}`);
    this.#main.inert = tall;
    this.#footer.inert = !isBeside();
  }

  /** @param {PointerEvent} event */
  #take({ clientY: y, timeStamp: at }) {
    return (this.#pulled = { y, at, speed: 0, height: this.#dialog.offsetHeight, moved: false });
  }

  /**
   * Follows a finger.
   * @param {PointerEvent} event
   * @param {HTMLElement} [head] keeps the finger that has left it
   */
  pull(event, head) {
    if (!this.isOpen) return;
    const pulled = this.#pulled ?? this.#take(event);
    const up = pulled.y - event.clientY;
    if (!pulled.moved && Math.abs(up) < SLOP) return;
    // Only now, as a button in it would not be clicked without.
    if (!pulled.moved) head?.setPointerCapture(event.pointerId);
    const height = pulled.height + up, speed = up / Math.max(1, event.timeStamp - pulled.at);
    this.#pulled = { y: event.clientY, at: event.timeStamp, speed, height, moved: true };
    this.#dialog.classList.add("pulled");
    this.#dialog.style.height = `${height}px`;
  }

  /**
   * Goes from where it was let go to one of its heights, or closes.
   * @param {PointerEvent} event
   */
  settle({ timeStamp }) {
    const pulled = this.#pulled;
    this.#pulled = null;
    if (!pulled?.moved) return;
    const share = pulled.height / innerHeight, speed = timeStamp - pulled.at < RESTS ? pulled.speed : 0;
    this.#dialog.classList.remove("pulled");
    this.#dialog.style.height = "";
    if (share < CLOSES || (speed < -FLICK && !this.#isTall)) this.#leave();
    else this.#setTall(innerHeight < LOW || speed > FLICK || (share > TALL && speed > -FLICK));
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

// As in the style sheet.
const isBeside = () => matchMedia("(orientation: landscape) and (min-width: 40rem)").matches;
