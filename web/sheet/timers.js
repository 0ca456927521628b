// The timers in the sheet: to sleep, one of any kind, and the list of all timers.

import { action, due, offsetOf, timeOfDay, title } from "../bar/timer.js";
import { button, fill } from "../elements.js";
import { locale, words as pageWords } from "../words.js";
import { words } from "./words.js";

/** @typedef {import("../connection.js").TimerInfo} Timer */

const SLEEPS = [5, 15, 30, 60]; // minutes
const FADE = 60; // seconds
const DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const DAY = 86400000; // ms
const A_MONDAY = Date.UTC(2024, 0, 1);

/** @param {Intl.DateTimeFormatOptions} options */
const format = (options) => new Intl.DateTimeFormat(locale, { timeZone: "UTC", ...options });
/**
 * @param {string} day
 * @param {"short" | "long"} weekday
 */
const dayName = (day, weekday) => format({ weekday }).format(A_MONDAY + DAYS.indexOf(day) * DAY).replace(".", "");

export class Timers {
  #hub;
  #chosen;
  #section;
  #list;
  #form;

  /**
   * @param {HTMLElement} section
   * @param {import("../main.js").Hub} hub
   * @param {() => string | undefined} chosen returns the name of the chosen light, or undefined for all
   */
  constructor(section, hub, chosen) {
    this.#hub = hub;
    this.#chosen = chosen;
    this.#section = section;
    this.#list = section.querySelector("ul");
    this.#form = section.querySelector(".wake");
    const sleep = section.querySelector(".sleep");
    for (const minutes of SLEEPS) {
      const chip = button("chip", `${minutes} min`, words.sleepIn(minutes));
      chip.addEventListener("click", () => this.#sleep(minutes));
      sleep.append(chip);
    }
    this.#makeForm();
  }

  draw() {
    // The text of the day is part of the key: what is tomorrow now is today later.
    /** @param {Timer} timer */
    const key = (timer) => JSON.stringify([timer, dueText(timer), title(timer, this.#hub.lights)]);
    fill(this.#list, this.#hub.timers, key, (timer) => this.#item(timer), this.#section.querySelector(".waker"));
    this.#list.hidden = !this.#hub.timers.length;
    if (this.#form.hidden) this.#fillActions();
  }

  /**
   * Under a fixed name, so that another time replaces this one.
   * @param {number} minutes
   */
  #sleep(minutes) {
    const light = this.#chosen();
    const name = light ? `sleep ${light}` : "sleep";
    this.#hub.send({ timer: { name, light, in: minutes * 60 - FADE, on: false, transition: FADE } });
  }

  #makeForm() {
    const waker = this.#section.querySelector(".waker"), form = this.#form;
    for (const day of DAYS) form.querySelector(".days").append(this.#day(day));
    /** @param {boolean} open */
    const unfold = (open) => {
      form.hidden = !open;
      waker.setAttribute("aria-expanded", `${open}`);
    };
    waker.addEventListener("click", () => unfold(!!form.hidden));
    const what = form.querySelector("[name=what]");
    what.addEventListener("change", () => (this.#field("minutes").value = what.value === "effect sunrise" ? "30" : "0"));
    form.addEventListener("change", () => this.#showFields());
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#hub.send({ timer: { ...this.#what(), ...this.#when() } });
      unfold(false);
      waker.focus();
    });
    this.#fillActions();
  }

  // What a timer can do; a sunrise is what most are for.
  #fillActions() {
    const what = this.#form.querySelector("[name=what]");
    const { sunrise, ...effects } = pageWords.effects;
    const actions = [
      ["effect sunrise", sunrise], ["on", pageWords.on], ["off", pageWords.off], ["level", `${pageWords.level}…`],
      ...Object.entries(effects).map(([effect, word]) => [`effect ${effect}`, word]),
      ...this.#hub.presets.map((name) => [`recall ${name}`, name]),
    ];
    const key = JSON.stringify(actions);
    if (what.dataset.key === key) return;
    what.dataset.key = key;
    what.replaceChildren(...actions.map(([value, word]) => new Option(word, value)));
    this.#showFields();
  }

  /** @param {"level" | "at" | "offset" | "after" | "minutes"} name */
  #field(name) {
    return this.#form.querySelector(`[name=${name}]`);
  }

  // Shows the fields that what and when ask for; the others are disabled, so that they need not be valid.
  #showFields() {
    const what = this.#form.querySelector("[name=what]").value, when = this.#form.querySelector("[name=when]").value;
    /** @type {[HTMLInputElement, boolean][]} */
    const fields = [
      [this.#field("level"), what === "level"],
      [this.#field("at"), when === "time"],
      [this.#field("offset"), when.startsWith("sun")],
      [this.#field("after"), when === "after"],
      // Of the effects only a sunrise takes its time.
      [this.#field("minutes"), what === "effect sunrise" || !what.startsWith("effect ")],
    ];
    for (const [field, shown] of fields) {
      const label = field.closest("label");
      if (label) label.hidden = !shown;
      field.disabled = !shown;
    }
    this.#form.querySelector(".days").hidden = when === "after";
  }

  #what() {
    const [kind, value] = this.#form.querySelector("[name=what]").value.split(/ (.*)/);
    const minutes = this.#field("minutes");
    const transition = minutes.disabled ? undefined : minutes.valueAsNumber * 60 || undefined;
    if (kind === "recall") return { recall: value, transition };
    const light = this.#chosen();
    if (kind === "effect") return { light, effect: value, transition };
    if (kind === "level") return { light, level: this.#field("level").valueAsNumber, transition };
    return { light, on: kind === "on", transition };
  }

  #when() {
    const when = this.#form.querySelector("[name=when]").value;
    if (when === "after") return { in: this.#field("after").valueAsNumber * 60 };
    const days = [...this.#form.querySelectorAll("input:checked")].map(({ value }) => value);
    const at = when === "time" ? { at: this.#field("at").value } : { at: when, offset: this.#field("offset").valueAsNumber };
    return days.length ? { ...at, days } : at;
  }

  /** @param {string} day */
  #day(day) {
    const label = document.createElement("label");
    const box = document.createElement("input");
    box.type = "checkbox";
    box.value = day;
    box.setAttribute("aria-label", dayName(day, "long"));
    const text = document.createElement("span");
    text.textContent = dayName(day, "short");
    label.append(box, text);
    return label;
  }

  /** @param {Timer} timer */
  #item(timer) {
    const item = document.createElement("li");
    const text = document.createElement("span");
    const does = isOff(timer) ? words.offAt(clocks(timer)) : action(timer);
    const what = [does, title(timer, this.#hub.lights)].filter(Boolean).join(" · ");
    const details = document.createElement("small");
    details.textContent = [dueText(timer), repetition(timer)].filter(Boolean).join(" · ");
    text.append(what, details);
    const whole = `${what}, ${details.textContent}`;
    const remove = button("remove", "×", pageWords.remove(whole));
    remove.addEventListener("click", async () => {
      const undo = await import("../bar/undo.js").catch(() => null);
      undo?.cancel(timer, what, this.#hub);
    });
    item.append(text, remove);
    return item;
  }
}

// One whose time its text says already.
/** @param {Timer} timer */
const isOff = ({ next, on }) => !!next && on === false;

/**
 * The time at which it is done on the clocks of the service, and on those of this page where they differ.
 * @param {Timer} timer
 */
function clocks(timer) {
  const time = due(timer);
  const there = timeOfDay(time, offsetOf(timer.next ?? ""));
  const here = timeOfDay(time, new Date(time).getTimezoneOffset() * -60000);
  return here === there ? there : `${there} (${words.yourTime(here)})`;
}

/**
 * When the timer is due, in the days of the service; or what it waits for.
 * @param {Timer} timer
 */
export function dueText(timer) {
  const { next, waiting = "" } = timer;
  if (!next) return words.waiting[waiting] ?? words.never;
  const local = due(timer) + offsetOf(next);
  const days = Math.floor(local / DAY) - Math.floor((Date.now() + offsetOf(next)) / DAY);
  const day = days < 2
    ? new Intl.RelativeTimeFormat(locale, { numeric: "auto" }).format(days, "day")
    : format({ weekday: "short", day: "numeric", month: "short" }).format(local);
  return isOff(timer) ? day : `${day} ${clocks(timer)}`;
}

/** @param {Timer} timer */
function repetition({ at, days = [], offset }) {
  const sun = at && words.at[at];
  const shift = offset ? ` ${offset > 0 ? "+" : "−"}${Math.abs(offset)} min` : "";
  return [sun && sun + shift, days.map((day) => dayName(day, "short")).join(" ")].filter(Boolean).join(" · ");
}
