// The settings of the lights and of the dimmer: the part of the sheet that is loaded on demand. The ends of a light's
// range are found by eye: the LED follows the slider, and is what it was unless somebody saves.

import { button } from "../../elements.js";
import { language, written } from "../../words.js";

/** @typedef {{ value: any, source: "default" | "file" | "here" }} Setting */
/** @typedef {Record<string, Setting>} Settings */
/** @typedef {{ locked: boolean, lights: Record<string, Settings>, title: Setting, latitude: Setting, longitude: Setting }} All */
/** @typedef {{ zone: string, latitude: number, longitude: number }} City */
/** A setting on the screen. @typedef {{ row: HTMLElement, show(setting: Setting): void }} Field */

/** @type {{ default: import("../../words.js").SettingsWords }} */
const loaded = await import(`./words/${language}.js`);
const words = loaded.default;

const ALIVE = 10000; // ms after which the service is told again what is tried, before it gives up after 30 s
const STEPS = 1000; // of a slider
// Where somebody looks for the dark end, a step is as fine as the eye.
const FINE = 3;

export class SettingsPart {
  #hub;
  #section;
  #select;
  #light;
  #house;
  /** @type {All | null} */
  #all = null;
  /** @type {City[]} */
  #cities = [];
  // What was described last when the service was last asked.
  /** @type {object | null} */
  #asked = null;
  // How many changes were made here, and how many of them the service may not have handled yet.
  #made = 0;
  #unhandled = 0;
  /** @type {Map<string, Field>} */
  #fields = new Map();
  // What is tried: of which light, its level before, and how the slider goes back.
  /** @type {{ light: string, duty: number, shown: string, end(): void } | null} */
  #trial = null;
  #alive = 0;

  /**
   * @param {HTMLElement} section
   * @param {import("../../main.js").Hub} hub
   */
  constructor(section, hub) {
    this.#hub = hub;
    this.#section = section;
    section.insertAdjacentHTML("beforeend", `
      <h2 tabindex="-1">${words.title}</h2>
      <p class="note locked" hidden>${words.locked}</p>
      <fieldset class="set">
        <label class="whose"><span>${words.light}</span> <select></select></label>
        <div class="of-light"></div>
        <h3>${words.house}</h3>
        <div class="of-house"></div>
      </fieldset>`);
    this.#select = section.querySelector("select");
    this.#light = /** @type {HTMLElement} */ (section.querySelector(".of-light"));
    this.#house = /** @type {HTMLElement} */ (section.querySelector(".of-house"));
    this.#select.addEventListener("change", () => {
      this.#cancel();
      this.#show();
    });
    addEventListener("pagehide", () => this.#cancel());
    document.addEventListener("visibilitychange", () => document.hidden && this.#cancel());
    this.#make();
    this.#listCities();
  }

  /** Asks the service again when something was set, by whomever. */
  draw() {
    const { trial, described, live } = { trial: this.#trial, ...this.#hub };
    // Any change of the light has ended what was tried, and so has the end of the connection.
    if (trial && (!live || this.#state(trial.light) !== trial.shown)) this.#end();
    if (!live || this.#unhandled || this.#asked === described) return;
    this.#asked = described;
    this.#ask();
  }

  /** Called when the sheet is closed. */
  close() {
    this.#cancel();
  }

  async #ask() {
    const asked = this.#asked, made = this.#made;
    const answer = await fetch("api/settings", { cache: "no-store" }).catch(() => null);
    const all = answer?.ok && (await answer.json().catch(() => null));
    // Not over what somebody has set on this page meanwhile, nor over a later answer.
    if (made !== this.#made) this.#asked = null;
    if (asked !== this.#asked) return this.draw();
    if (!all) return;
    this.#all = all;
    this.#show();
  }

  async #listCities() {
    const answer = await fetch("api/cities").catch(() => null);
    this.#cities = (answer?.ok && (await answer.json().catch(() => []))) || [];
    this.#show();
  }

  #make() {
    /** @param {[string, Field][]} fields @param {HTMLElement} into @param {string} of */
    const add = (fields, into, of) => {
      for (const [name, field] of fields) {
        this.#fields.set(`${of}${name}`, field);
        into.append(field.row);
      }
    };
    const set = (/** @type {string} */ name) => (/** @type {unknown} */ value) => this.#setLight({ [name]: value });
    add([
      ["title", text(words.name, set("title"))],
      ["curve", choice(words.curve, Object.entries(words.curves), set("curve"))],
      ["min_duty", this.#makeEnd("min_duty", words.darkEnd, FINE)],
      ["max_duty", this.#makeEnd("max_duty", words.brightEnd, 1)],
      ["transition", number(words.transition, { min: 0, max: 3600, step: 0.1, unit: "s" }, set("transition"))],
      ["on_start", start(set("on_start"))],
      ["warmth", colour(words.warmth, set("warmth"))],
      ["hidden", check(words.hidden, set("hidden"))],
      ["groups", list(words.groups, set("groups"))],
    ], this.#light, "light ");
    const house = (/** @type {string} */ name) => (/** @type {unknown} */ value) => this.#setHouse({ [name]: value });
    add([["title", text(words.dimmerName, house("title"))], ["place", this.#place()]], this.#house, "house ");
  }

  #show() {
    const all = this.#all;
    if (!all) return;
    /** @type {HTMLElement} */ (this.#section.querySelector(".locked")).hidden = !all.locked;
    this.#section.querySelector("fieldset").disabled = all.locked;
    // As on the page; those that are hidden come last.
    const shown = [...this.#hub.lights.keys()];
    const place = (/** @type {string} */ name) => (shown.includes(name) ? shown.indexOf(name) : shown.length);
    const names = Object.keys(all.lights).sort((one, other) => place(one) - place(other));
    const options = names.map((name) => new Option(all.lights[name].title.value ?? name, name));
    const before = this.#select.value;
    this.#select.replaceChildren(...options);
    if (names.includes(before)) this.#select.value = before;
    /** @type {HTMLElement} */ (this.#section.querySelector(".whose")).hidden = names.length < 2;
    for (const [key, field] of this.#fields) {
      const [of, name] = key.split(" ");
      const setting = of === "light" ? all.lights[this.#select.value][name] : all.title;
      if (name === "place") field.show(all.latitude);
      else field.show(setting);
    }
  }

  /**
   * @param {Record<string, unknown>} values
   * @param {string} [light]
   */
  #setLight(values, light = this.#select.value) {
    this.#setHouse({ lights: { [light]: values } });
  }

  /** @param {Record<string, unknown>} settings */
  async #setHouse(settings) {
    this.#made++;
    this.#unhandled++;
    this.#hub.send({ settings });
    await this.#hub.handled();
    this.#unhandled--;
    this.draw();
  }

  // What anyone can change of a light, as text.
  /** @param {string} name */
  #state(name) {
    const light = this.#hub.lights.get(name);
    return light ? `${light.slider.level} ${light.effect}` : "";
  }

  /**
   * One end of the range, by eye.
   * @param {"min_duty" | "max_duty"} name
   * @param {{ title: string, hint: string }} says
   * @param {number} power by which the dark end of the slider is finer
   * @returns {Field}
   */
  #makeEnd(name, says, power) {
    const slider = Object.assign(document.createElement("input"), { type: "range", min: "0", max: `${STEPS}`, step: "1" });
    const shown = document.createElement("output");
    const hint = Object.assign(document.createElement("small"), { textContent: says.hint });
    const save = button("chip save-end", words.save), cancel = button("chip", words.cancel);
    const choose = document.createElement("div");
    choose.className = "chips";
    choose.hidden = true;
    choose.append(save, cancel);
    const duty = () => Math.round(100 * (slider.valueAsNumber / STEPS) ** power * 100) / 100;
    let saved = 0;
    const write = (/** @type {number} */ percent) => {
      shown.textContent = `${precise(percent)} %`;
      slider.setAttribute("aria-valuetext", `${precise(percent)} %`);
    };
    const back = () => {
      slider.value = `${Math.round(STEPS * (saved / 100) ** (1 / power))}`;
      write(saved);
      choose.hidden = true;
    };
    slider.addEventListener("input", () => {
      write(duty());
      choose.hidden = false;
      this.#try(duty(), back);
    });
    save.addEventListener("click", () => {
      // What is saved ends what is tried, too.
      const light = this.#trial?.light ?? this.#select.value, found = duty();
      this.#forget();
      choose.hidden = true;
      slider.focus();
      this.#setLight({ [name]: found }, light);
    });
    cancel.addEventListener("click", () => {
      slider.focus();
      this.#cancel();
      back();
    });
    const field = row(says.title, slider, () => this.#setLight({ [name]: null }));
    field.row.classList.add("end");
    field.row.querySelector("label")?.append(shown);
    field.row.append(hint, choose);
    return {
      row: field.row,
      show: (setting) => {
        field.source(setting);
        saved = setting.value;
        if (!this.#trial) back();
      },
    };
  }

  /**
   * @param {number} duty
   * @param {() => void} end
   */
  #try(duty, end) {
    const light = this.#select.value;
    if (this.#trial && this.#trial.end !== end) this.#trial.end();
    this.#trial = { light, duty, shown: this.#state(light), end };
    this.#hub.send({ light, try: duty });
    clearInterval(this.#alive);
    this.#alive = setInterval(() => this.#trial && this.#hub.send({ light, try: this.#trial.duty }), ALIVE);
  }

  #forget() {
    clearInterval(this.#alive);
    this.#trial = null;
  }

  #end() {
    const trial = this.#trial;
    this.#forget();
    trial?.end();
  }

  #cancel() {
    if (this.#trial) this.#hub.send({ light: this.#trial.light, try: null });
    this.#end();
  }

  /** @returns {Field} */
  #place() {
    const select = document.createElement("select");
    const field = row(words.city, select, () => this.#setHouse({ latitude: null, longitude: null }));
    const coordinates = document.createElement("form");
    const latitude = degrees(90), longitude = degrees(180);
    const go = Object.assign(document.createElement("button"), { textContent: words.save });
    coordinates.append(labelled(words.latitude, latitude), labelled(words.longitude, longitude), go);
    coordinates.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#setHouse({ latitude: latitude.valueAsNumber, longitude: longitude.valueAsNumber });
    });
    select.addEventListener("change", () => {
      const city = this.#cities.find(({ zone }) => zone === select.value);
      if (city) this.#setHouse({ latitude: city.latitude, longitude: city.longitude });
    });
    const hint = Object.assign(document.createElement("small"), { textContent: words.placeHint });
    field.row.append(hint, coordinates);
    return {
      row: field.row,
      show: (setting) => {
        const all = this.#all;
        if (!all) return;
        field.source(setting);
        const here = [all.latitude.value, all.longitude.value];
        [latitude.value, longitude.value] = here.map((degrees) => degrees ?? "");
        const place = this.#cities.find((city) => city.latitude === here[0] && city.longitude === here[1]);
        const cities = this.#cities.map(({ zone }) => new Option(zone.replaceAll("_", " "), zone));
        select.replaceChildren(new Option(here[0] === null ? words.noCity : words.otherPlace, ""), ...cities);
        select.value = place?.zone ?? "";
      },
    };
  }
}

// A duty to a hundredth of a percent.
const precise = (/** @type {number} */ percent) => (percent < 10 ? `${Number(percent.toFixed(2))}` : written(percent));

/** @param {number} most */
function degrees(most) {
  const input = document.createElement("input");
  return Object.assign(input, { type: "number", min: `${-most}`, max: `${most}`, step: "any", required: true });
}

/**
 * @param {string} word
 * @param {HTMLElement} control
 */
function labelled(word, control) {
  const label = document.createElement("label");
  const text = document.createElement("span");
  text.textContent = word;
  label.append(text, " ", control);
  return label;
}

/**
 * A control with its label, where its value comes from, and a button that takes it back.
 * @param {string} word
 * @param {HTMLElement} control
 * @param {() => void} takeBack
 */
function row(word, control, takeBack) {
  const row = document.createElement("div");
  row.className = "setting";
  const reset = button("remove", "↺", words.reset(word));
  reset.hidden = true;
  reset.addEventListener("click", () => {
    control.focus();
    takeBack();
  });
  row.append(labelled(word, control), reset);
  return {
    row,
    /** @param {Setting} setting */
    source(setting) {
      reset.hidden = setting.source !== "here";
      row.title = words.sources[setting.source];
    },
  };
}

/**
 * @param {string} word
 * @param {(value: unknown) => void} set
 * @returns {Field}
 */
function text(word, set) {
  const input = Object.assign(document.createElement("input"), { type: "text", maxLength: 40, autocomplete: "off" });
  const field = row(word, input, () => set(null));
  input.addEventListener("change", () => set(input.value.trim() || null));
  return { row: field.row, show: (setting) => (field.source(setting), (input.value = setting.value ?? "")) };
}

/**
 * @param {string} word
 * @param {[string, string][]} options
 * @param {(value: unknown) => void} set
 * @returns {Field}
 */
function choice(word, options, set) {
  const select = document.createElement("select");
  select.append(...options.map(([value, says]) => new Option(says, value)));
  const field = row(word, select, () => set(null));
  select.addEventListener("change", () => set(select.value));
  return { row: field.row, show: (setting) => (field.source(setting), (select.value = setting.value)) };
}

/**
 * @param {string} word
 * @param {{ min: number, max: number, step: number, unit: string }} range
 * @param {(value: unknown) => void} set
 * @returns {Field}
 */
function number(word, { min, max, step, unit }, set) {
  const input = document.createElement("input");
  Object.assign(input, { type: "number", min: `${min}`, max: `${max}`, step: `${step}`, required: true });
  const field = row(word, input, () => set(null));
  field.row.querySelector("label")?.append(` ${unit}`);
  input.addEventListener("change", () => input.reportValidity() && set(input.valueAsNumber));
  return { row: field.row, show: (setting) => (field.source(setting), (input.value = setting.value)) };
}

/**
 * What a light does after a power cut: as before, off, or a level.
 * @param {(value: unknown) => void} set
 * @returns {Field}
 */
function start(set) {
  const select = document.createElement("select"), level = document.createElement("input");
  const options = Object.entries(words.starts).map(([value, says]) => new Option(says, value));
  select.append(...options);
  Object.assign(level, { type: "number", min: "0.1", max: "100", step: "0.1", value: "50", required: true });
  level.setAttribute("aria-label", words.starts.level);
  const field = row(words.onStart, select, () => set(null));
  const show = () => (level.hidden = select.value !== "level");
  field.row.querySelector("label")?.after(level);
  select.addEventListener("change", () => {
    show();
    set(select.value === "level" ? level.valueAsNumber : select.value);
  });
  level.addEventListener("change", () => level.reportValidity() && set(level.valueAsNumber));
  return {
    row: field.row,
    show: (setting) => {
      field.source(setting);
      select.value = typeof setting.value === "number" ? "level" : setting.value;
      if (typeof setting.value === "number") level.value = `${setting.value}`;
      show();
    },
  };
}

/**
 * @param {string} word
 * @param {(value: unknown) => void} set
 * @returns {Field}
 */
function colour(word, set) {
  const input = Object.assign(document.createElement("input"), { type: "color" });
  const field = row(word, input, () => set(null));
  input.addEventListener("change", () => set(input.value));
  return { row: field.row, show: (setting) => (field.source(setting), (input.value = setting.value ?? "#ffd9a0")) };
}

/**
 * @param {string} word
 * @param {(value: unknown) => void} set
 * @returns {Field}
 */
function check(word, set) {
  const input = Object.assign(document.createElement("input"), { type: "checkbox" });
  const field = row(word, input, () => set(null));
  input.addEventListener("change", () => set(input.checked));
  return { row: field.row, show: (setting) => (field.source(setting), (input.checked = setting.value)) };
}

/**
 * Names that are separated by commas.
 * @param {{ title: string, hint: string }} says
 * @param {(value: unknown) => void} set
 * @returns {Field}
 */
function list(says, set) {
  const input = Object.assign(document.createElement("input"), { type: "text", autocomplete: "off" });
  const field = row(says.title, input, () => set(null));
  field.row.append(Object.assign(document.createElement("small"), { textContent: says.hint }));
  const names = () => input.value.split(",").map((name) => name.trim()).filter(Boolean);
  input.addEventListener("change", () => set(names()));
  return { row: field.row, show: (setting) => (field.source(setting), (input.value = setting.value.join(", "))) };
}
