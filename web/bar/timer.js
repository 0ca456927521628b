// A timer in words: what it does, to which light, and when.

import { locale, words, written } from "../words.js";

/** @typedef {import("../connection.js").TimerInfo} Timer */

/**
 * What it does.
 * @param {Timer} timer
 */
export function action({ level, on, effect, recall }) {
  if (recall) return recall;
  if (effect) return words.effects[effect] ?? effect;
  if (level) return `${written(level)} %`;
  return on ? words.on : words.off;
}

/**
 * The title of the light, where there is a choice.
 * @param {Timer} timer
 * @param {Map<string, import("../lights/light.js").Light>} lights
 */
export function title({ light, recall }, lights) {
  if (recall || (lights.size < 2 && (!light || lights.has(light)))) return "";
  return light ? (lights.get(light)?.title ?? light) : words.all;
}

/**
 * When it is done, in ms since 1970: a light that fades out is off at the end.
 * @param {Timer} timer
 */
export const due = ({ next = "", on, transition = 0 }) => Date.parse(next) + (on === false ? transition * 1000 : 0);

/**
 * How far the clocks of the service are ahead of UTC, in ms.
 * @param {string} next
 */
export function offsetOf(next) {
  const [, sign, hours, minutes] = next.match(/([+-])(\d\d):?(\d\d)$/) ?? ["", "+", "0", "0"];
  return Number(`${sign}1`) * (Number(hours) * 60 + Number(minutes)) * 60000;
}

const clock = new Intl.DateTimeFormat(locale, { hour: "numeric", minute: "2-digit", timeZone: "UTC" });

/**
 * The time of day as people write it here, on clocks that are so many ms ahead of UTC.
 * @param {number} time
 * @param {number} offset
 */
export const timeOfDay = (time, offset) => clock.format(time + offset);
