// The timers in the sheet: to sleep, to wake up, and the list of all timers.

import { button, fill, words } from "./parts.js";
import { locale, words as pageWords, written } from "../words.js";

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
    const sleep = section.querySelector(".sleep");
    for (const minutes of SLEEPS) {
      const chip = button("chip", `${minutes} min`, words.sleepIn(minutes));
      chip.addEventListener("click", () => this.#sleep(minutes));
      sleep.append(chip);
    }
    this.#makeWake();
  }

  draw() {
    // The text of the day is part of the key: what is tomorrow now is today later.
    /** @param {Timer} timer */
    const key = (timer) => JSON.stringify([timer, dueText(timer), this.#title(timer)]);
    fill(this.#list, this.#hub.timers, key, (timer) => this.#item(timer), this.#section.querySelector(".waker"));
    this.#list.hidden = !this.#hub.timers.length;
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

  #makeWake() {
    const waker = this.#section.querySelector(".waker");
    const form = this.#section.querySelector(".wake");
    for (const day of DAYS) form.querySelector(".days").append(this.#day(day));
    /** @param {boolean} open */
    const unfold = (open) => {
      form.hidden = !open;
      waker.setAttribute("aria-expanded", `${open}`);
    };
    waker.addEventListener("click", () => unfold(!!form.hidden));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const at = form.querySelector("[name=at]"), minutes = form.querySelector("[name=minutes]");
      const days = [...form.querySelectorAll("input:checked")].map(({ value }) => value);
      const timer = { light: this.#chosen(), at: at.value, effect: "sunrise", transition: minutes.valueAsNumber * 60 };
      this.#hub.send({ timer: days.length ? { ...timer, days } : timer });
      unfold(false);
      waker.focus();
    });
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
    const what = [action(timer), this.#title(timer)].filter(Boolean).join(" · ");
    const details = document.createElement("small");
    details.textContent = [dueText(timer), repetition(timer)].filter(Boolean).join(" · ");
    text.append(what, details);
    const remove = button("remove", "×", words.remove(`${what}, ${details.textContent}`));
    remove.addEventListener("click", () => this.#hub.send({ cancel: timer.name }));
    item.append(text, remove);
    return item;
  }

  /**
   * The title of the light, where there is a choice.
   * @param {Timer} timer
   */
  #title({ light, recall }) {
    const { lights } = this.#hub;
    if (recall || (lights.size < 2 && (!light || lights.has(light)))) return "";
    return light ? (lights.get(light)?.title ?? light) : pageWords.all;
  }
}

/** @param {Timer} timer */
function action({ level, on, effect, recall }) {
  if (recall) return recall;
  if (effect) return pageWords.effects[effect] ?? effect;
  if (level) return `${written(level)} %`;
  return on ? pageWords.on : pageWords.off;
}

/**
 * When the timer is due, in the local time of the service, whatever the time zone of this page is; or what it waits for.
 * @param {Pick<Timer, "next" | "waiting">} timer
 */
export function dueText({ next, waiting = "" }) {
  if (!next) return words.waiting[waiting] ?? words.never;
  const [, sign, hours, minutes] = next.match(/([+-])(\d\d):?(\d\d)$/) ?? ["", "+", "0", "0"];
  const offset = Number(`${sign}1`) * (Number(hours) * 60 + Number(minutes)) * 60000;
  const due = Date.parse(next) + offset;
  const days = Math.floor(due / DAY) - Math.floor((Date.now() + offset) / DAY);
  const day = days < 2
    ? new Intl.RelativeTimeFormat(locale, { numeric: "auto" }).format(days, "day")
    : format({ weekday: "short", day: "numeric", month: "short" }).format(due);
  return `${day} ${next.slice(11, 16)}`;
}

/** @param {Timer} timer */
function repetition({ at, days = [], offset }) {
  const sun = at && words.at[at];
  const shift = offset ? ` ${offset > 0 ? "+" : "−"}${Math.abs(offset)} min` : "";
  return [sun && sun + shift, days.map((day) => dayName(day, "short")).join(" ")].filter(Boolean).join(" · ");
}
