// What the sheet shows of the service itself: a driver that is not the one that was meant, backups, and the way to log
// out.

import { words } from "./words.js";

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
    const answer = await fetch("api/health").catch(() => null);
    /** @type {{ fallbacks?: { name: string, reason: string }[] }} */
    const { fallbacks = [] } = (await answer?.json().catch(() => null)) ?? {};
    this.#list.replaceChildren(...fallbacks.map(({ name, reason }) => {
      const item = document.createElement("li");
      item.textContent = words.fallback(this.#hub.lights.get(name)?.title ?? name, reason);
      return item;
    }));
    this.#list.hidden = !fallbacks.length;
  }

  draw() {
    this.#out.hidden = !this.#hub.canLogOut;
  }
}
