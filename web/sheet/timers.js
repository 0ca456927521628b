// The timers: to sleep, to wake up, and the list of those there are.

import { button, fill, words } from "./parts.js";
import { language, words as pageWords, written } from "../words.js";

const SLEEPS = [5, 15, 30, 60]; // minutes
const FADE = 60; // seconds
const DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const DAY = 86400000; // ms
const A_MONDAY = Date.UTC(2024, 0, 1);

const format = (options) => new Intl.DateTimeFormat(language, { timeZone: "UTC", ...options });
const dayName = (day, weekday) => format({ weekday }).format(A_MONDAY + DAYS.indexOf(day) * DAY).replace(".", "");

export class Timers {
  #house;
  #chosen;
  #section;
  #list;

  // `chosen` returns the name of the light that is meant, or undefined for all.
  constructor(section, house, chosen) {
    this.#house = house;
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
    // With the day in the key, as what is tomorrow now is today then.
    const key = (timer) => JSON.stringify([timer, when(timer), this.#title(timer)]);
    fill(this.#list, this.#house.timers, key, (timer) => this.#item(timer), this.#section.querySelector(".waker"));
    this.#list.hidden = !this.#house.timers.length;
  }

  // Under a name, so that another time takes the place of this one.
  #sleep(minutes) {
    const light = this.#chosen();
    const name = light ? `sleep ${light}` : "sleep";
    this.#house.tell({ timer: { name, light, in: minutes * 60 - FADE, on: false, transition: FADE } });
  }

  #makeWake() {
    const waker = this.#section.querySelector(".waker");
    const form = this.#section.querySelector(".wake");
    for (const day of DAYS) form.querySelector(".days").append(this.#day(day));
    const unfold = (open) => {
      form.hidden = !open;
      waker.setAttribute("aria-expanded", open);
    };
    waker.addEventListener("click", () => unfold(form.hidden));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const { at, minutes } = form.elements;
      const days = [...form.querySelectorAll(":checked")].map(({ value }) => value);
      const timer = { light: this.#chosen(), at: at.value, effect: "sunrise", transition: minutes.valueAsNumber * 60 };
      this.#house.tell({ timer: days.length ? { ...timer, days } : timer });
      unfold(false);
      waker.focus();
    });
  }

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

  #item(timer) {
    const item = document.createElement("li");
    const text = document.createElement("span");
    const what = [does(timer), this.#title(timer)].filter(Boolean).join(" · ");
    const details = document.createElement("small");
    details.textContent = [when(timer), again(timer)].filter(Boolean).join(" · ");
    text.append(what, details);
    const remove = button("remove", "×", words.remove(`${what}, ${details.textContent}`));
    remove.addEventListener("click", () => this.#house.tell({ cancel: timer.name }));
    item.append(text, remove);
    return item;
  }

  // Which light, where that is not plain.
  #title({ light, recall }) {
    const { lights } = this.#house;
    if (recall || (lights.size < 2 && (!light || lights.has(light)))) return "";
    return light ? (lights.get(light)?.title ?? light) : pageWords.all;
  }
}

function does({ level, on, effect, recall }) {
  if (recall) return recall;
  if (effect) return pageWords.effects[effect] ?? effect;
  if (level) return `${written(level)} %`;
  return on ? words.on : words.off;
}

// In the time of the service, wherever this page is.
function when({ next }) {
  if (!next) return words.never;
  const [, sign, hours, minutes] = next.match(/([+-])(\d\d):?(\d\d)$/) ?? [0, "+", 0, 0];
  const offset = Number(sign + 1) * (hours * 60 + minutes * 1) * 60000;
  const due = Date.parse(next) + offset;
  const days = Math.floor(due / DAY) - Math.floor((Date.now() + offset) / DAY);
  const day = days < 2
    ? new Intl.RelativeTimeFormat(language, { numeric: "auto" }).format(days, "day")
    : format({ weekday: "short", day: "numeric", month: "short" }).format(due);
  return `${day} ${next.slice(11, 16)}`;
}

function again({ at, days = [], offset }) {
  const sun = words.at[at];
  const shift = offset ? ` ${offset > 0 ? "+" : "−"}${Math.abs(offset)} min` : "";
  return [sun && sun + shift, days.map((day) => dayName(day, "short")).join(" ")].filter(Boolean).join(" · ");
}
