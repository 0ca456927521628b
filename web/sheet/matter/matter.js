// The home apps that control the lights by Matter, and the code for one more: the part of the sheet that is loaded on
// demand. Only a service that has Matter in its settings shows it.

import { button } from "../../elements.js";
import { language } from "../../words.js";
import { ask } from "../ask.js";

/** @typedef {{ index: number, label: string, vendor: number }} Fabric */
/**
 * `seconds`, `qr` and `code` are there while the window is open; the last two only for the LAN.
 * @typedef {{ enabled: boolean, window: "closed" | "open" | "controller", seconds?: number, qr?: string, code?: string,
 *   fabrics: Fabric[] }} Matter
 */

/** @type {{ default: import("../../words.js").MatterWords }} */
const loaded = await import(`./words/${language}.js`);
const words = loaded.default;

const LOOK = 3000; // ms between two looks while somebody may pair

export class MatterPart {
  #list;
  #pairing;
  #looks = 0;
  // Counts the changes that are asked for, and their answers: a look from before one is not shown.
  #changes = 0;
  #shown = "";

  /** @param {HTMLElement} section */
  constructor(section) {
    section.insertAdjacentHTML("beforeend", `
      <h2 tabindex="-1">${words.title}</h2>
      <p class="note">${words.hint}</p>
      <ul class="list"></ul>
      <div class="pairing" aria-live="polite"></div>`);
    this.#list = section.querySelector("ul");
    this.#pairing = /** @type {HTMLElement} */ (section.querySelector(".pairing"));
    this.open();
  }

  /** Called when the sheet is opened. */
  open() {
    clearInterval(this.#looks);
    this.#looks = setInterval(() => this.#look(), LOOK);
    this.#look();
  }

  /** Called when the sheet is closed. */
  close() {
    clearInterval(this.#looks);
  }

  draw() {}

  async #look() {
    if (document.hidden) return;
    const changes = this.#changes;
    const matter = await describe();
    if (matter && changes === this.#changes) this.#show(matter);
  }

  /**
   * @param {string} method
   * @param {string} path
   */
  async #ask(method, path) {
    this.#changes++;
    const answer = await fetch(`api/matter/${path}`, { method }).catch(() => null);
    const body = await answer?.json().catch(() => null);
    this.#changes++;
    if (answer?.ok && body) this.#show(body);
    else ask(words.failed, body?.error ?? "");
  }

  /** @param {Matter} matter */
  #show(matter) {
    const { window, qr, code, seconds, fabrics } = matter;
    const minutes = Math.ceil((seconds ?? 0) / 60);
    // Only what differs, so that the focus stays and nobody is told the same twice.
    const shown = JSON.stringify([window, qr, minutes, fabrics]);
    if (shown === this.#shown) return;
    this.#shown = shown;
    this.#list.replaceChildren(...fabrics.map((fabric) => this.#item(fabric)));
    this.#list.hidden = !fabrics.length;
    const open = button("chip open", words.add), stop = button("chip stop", words.stop);
    open.addEventListener("click", () => this.#ask("POST", "open"));
    stop.addEventListener("click", () => this.#ask("POST", "close"));
    const had = this.#pairing.contains(document.activeElement);
    if (window === "closed") this.#pairing.replaceChildren(open);
    else if (window === "controller") this.#pairing.replaceChildren(line(words.byApp), open);
    else if (qr && code) {
      const picture = new Image();
      // Another code has another address, so that no old picture is shown.
      picture.src = `api/matter/qr.svg?${encodeURIComponent(qr)}`;
      picture.alt = words.picture;
      const digits = Object.assign(document.createElement("output"), { textContent: code, dir: "ltr" });
      this.#pairing.replaceChildren(picture, line(words.scan), digits, line(words.minutes(minutes)), stop);
    } else this.#pairing.replaceChildren(line(words.onlyLan), stop);
    if (had) this.#pairing.querySelector("button").focus();
  }

  /** @param {Fabric} fabric */
  #item({ index, label }) {
    const item = document.createElement("li"), name = document.createElement("span");
    name.textContent = label || words.unnamed(index);
    const remove = button("remove", "×", words.remove(name.textContent));
    remove.addEventListener("click", () =>
      ask(words.removes, name.textContent ?? "", {
        word: words.removeIt,
        run: () => this.#ask("DELETE", `fabrics/${index}`),
      }));
    item.append(name, remove);
    return item;
  }
}

/** @param {string} text */
function line(text) {
  return Object.assign(document.createElement("p"), { textContent: text });
}

/**
 * What the service says of Matter: nothing if it does not answer.
 * @returns {Promise<Matter | null>}
 */
async function describe() {
  const answer = await fetch("api/matter", { cache: "no-store" }).catch(() => null);
  return answer?.ok ? answer.json().catch(() => null) : null;
}
