// What the sheet shows of the service itself: what drives the pins, as dimmer doctor says it, which the greeting of a new
// light shows, too; backups, and the way to log out.

import { words } from "./words.js";

/**
 * `pin` is the number of the pin on the header, if that is known.
 * @typedef {{ name: string, gpio: number, pin: number | null, driver: string, frequency: number, fallback?: string,
 *   advice: { text: string }[] }} Diagnosis
 */

export class Service {
  #hub;
  #list;
  #out;

  /**
   * @param {HTMLElement} section
   * @param {import("../main.js").Hub} hub
   */
  constructor(section, hub) {
    this.#hub = hub;
    this.#list = section.querySelector("ul");
    const restore = section.querySelector(".restore"), file = section.querySelector("input");
    restore.addEventListener("click", () => file.click());
    file.addEventListener("change", () => this.#restore(file));
    this.#out = section.querySelector(".out");
    this.#out.addEventListener("click", async () => {
      // Without its cookie the browser is led to the login.
      await fetch("logout", { method: "POST" }).catch(() => {});
      location.reload();
    });
  }

  /** @param {HTMLInputElement} input */
  async #restore(input) {
    const file = input.files?.[0];
    // So that the same file can be chosen again.
    input.value = "";
    const module = file && (await import("./restore.js").catch(() => null));
    if (file) module?.restore(file);
  }

  async open() {
    const pins = await diagnose();
    this.#list.replaceChildren(...pins.map((pin) => item(pin, this.#hub.lights.get(pin.name)?.title ?? pin.name)));
    this.#list.hidden = !pins.length;
  }

  draw() {
    this.#out.hidden = !this.#hub.canLogOut;
  }
}

/**
 * What the service says of each light: nothing if it does not answer.
 * @returns {Promise<Diagnosis[]>}
 */
export async function diagnose() {
  const answer = await fetch("api/doctor").catch(() => null);
  const { lights = [] } = (answer?.ok && (await answer.json().catch(() => null))) || {};
  return lights;
}

/** @param {Diagnosis} diagnosis */
export const place = ({ pin, gpio }) => (pin ? words.pin(pin, gpio) : `GPIO ${gpio}`);

/**
 * An item of a list. What the service says in English stands there as it says it.
 * @param {Diagnosis} diagnosis
 * @param {string} title of the light
 */
export function item(diagnosis, title) {
  const { driver, frequency, fallback, advice } = diagnosis;
  const item = document.createElement("li"), about = document.createElement("span");
  about.append(
    `${title}: ${place(diagnosis)}`,
    line("small", words.drivers[driver] ?? ""),
    line("code", `${driver}, ${frequency} Hz`),
    ...(fallback ? [line("small", words.fallback(title, fallback))] : []),
    ...(advice.length ? [line("small", words.advice)] : []),
    ...advice.map(({ text }) => line("code", text)),
  );
  item.append(about);
  return item;
}

/**
 * @param {"small" | "code"} tag
 * @param {string} text
 */
function line(tag, text) {
  const line = document.createElement(tag);
  line.textContent = text;
  if (tag === "code") Object.assign(line, { lang: "en", dir: "ltr" });
  return line;
}
