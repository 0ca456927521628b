// The words of the page in the language that this browser prefers, and numbers as people write them there. Only the
// file of that language is loaded.

/** @typedef {import("./connection.js").ActivityEntry} Entry */
/**
 * @typedef {{ connecting: string, reconnecting: string, pages(n: number): string, live: string, theLed: string,
 *   fault(what: string, message: string): string, simulated: string, noLights: string, light: string, level: string,
 *   more: string, less: string, off: string, on: string, all: string, percent(number: string): string,
 *   left(time: string): string, lightsOn(count: number, percent: string): string,
 *   allOff: string, allOn: string, undo: string, remove(what: string): string, removed(what: string): string,
 *   sheetTitle: string, notLoaded: string, effects: Record<string, string>,
 *   refused: Record<import("./connection.js").Reason, (host: string) => string> }} Words
 */
/**
 * The words of the sheet, which come with it.
 * @typedef {{ close: string, tall: string, for: string, now: string, none: string, takes: string, minutes: string,
 *   start: string, speed: string, presetsTitle: string, presetName: string, save: string,
 *   forget(name: string): string, timersTitle: string, sleep: string, sleepIn(minutes: number): string,
 *   sleepHint: string, newTimer: string, what: string, when: string, after: string, atTime: string, later: string,
 *   days: string, add: string, at: Record<string, string>, never: string, offAt(time: string): string,
 *   yourTime(time: string): string, waiting: Record<string, string>, who: string, settings: string, homeApps: string, logOut: string,
 *   backUp: string, restore: string, replaces: string, restored: string, notRestored: string,
 *   fallback(light: string, reason: string): string, pin(pin: number, gpio: number): string,
 *   drivers: Record<string, string>, advice: string, link: string, run: string, cancel: string, toggle: string,
 *   badLink: string, activity: ActivityWords }} SheetWords
 */
/**
 * The words of the settings, which come with them.
 * @typedef {{ title: string, locked: string, light: string, house: string, name: string, dimmerName: string,
 *   curve: string, curves: Record<string, string>, darkEnd: { title: string, hint: string },
 *   brightEnd: { title: string, hint: string }, transition: string, onStart: string,
 *   starts: { restore: string, off: string, level: string }, warmth: string, hidden: string,
 *   groups: { title: string, hint: string }, city: string, noCity: string, otherPlace: string, placeHint: string,
 *   latitude: string, longitude: string, save: string, cancel: string, reset(what: string): string,
 *   sources: Record<string, string> }} SettingsWords
 */
/**
 * The words about home apps, which come with them.
 * @typedef {{ title: string, hint: string, add: string, stop: string, picture: string, scan: string,
 *   minutes(minutes: number): string, byApp: string, onlyLan: string, unnamed(index: number): string,
 *   remove(name: string): string, removes: string, removeIt: string, failed: string }} MatterWords
 */
/**
 * The words that greet a new light, which come with the first.
 * @typedef {{ title(light: string): string, question: string, yes: string, no: string, dark: string,
 *   wiring(pin: string): string, legs: string, gpio: string, lit: string, later: string }} GreetingWords
 */
/**
 * Who is here and what happened; `did` has the words for each `what` of an entry.
 * @typedef {{ title: string, me: string, say: string, send: string, here(names: string): string, nobody: string,
 *   someone: string, via: Record<string, string>, did: Record<string, (entry: Entry, light: string) => string>
 *   }} ActivityWords
 */

const LANGUAGES = ["en", "ar", "de", "es", "fr", "it", "ja"];

/**
 * The language of the words for one that a browser names, or nothing.
 * @param {string} locale
 */
export function languageFor(locale) {
  const [primary, region] = locale.toLowerCase().split("-");
  if (primary === "pt") return !region || region === "br" ? "pt-BR" : "pt-PT";
  return LANGUAGES.find((language) => language === primary);
}

// As the browser names it, with its region, which decides how numbers and times are written.
export const locale = navigator.languages.find(languageFor) ?? "en";
export const language = languageFor(locale) ?? "en";
export const direction = language === "ar" ? "rtl" : "ltr";

/** @type {{ default: Words }} */
const loaded = await import(`./words/${language}.js`);
export const words = loaded.default;

const format = new Intl.NumberFormat(locale, { maximumFractionDigits: 1 });
/**
 * The number as people write it.
 * @param {number} number
 */
export const written = (number) => format.format(number);
