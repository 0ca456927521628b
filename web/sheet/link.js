// A link that does one thing, such as `/#recall=Film` or `/#level=40&light=desk`. Any site can make one, so nothing
// happens before somebody has read what it asks for, and agrees.

import { loadStyle } from "../elements.js";
import { words as pageWords, written } from "../words.js";
import { ask as showQuestion } from "./ask.js";
import { words } from "./words.js";

/** @typedef {import("../lights/light.js").Light} Light */
/** What is asked for in words, and how it is done. @typedef {{ text: string, run(): void }} Deed */

/** @param {import("../main.js").Hub} hub */
export async function ask(hub) {
  const link = location.hash.slice(1);
  const deed = read(new URLSearchParams(link), hub);
  // A reload asks no second time.
  history.replaceState(null, "", location.pathname + location.search);
  await loadStyle("sheet/sheet.css").catch(() => {});

  const heading = deed ? words.link : words.badLink;
  showQuestion(heading, deed?.text ?? link, deed && { word: words.run, run: () => deed.run() });
}

/**
 * Nothing for a link that asks for nothing, for more than one thing, or for what is not here.
 * @param {URLSearchParams} asked
 * @param {import("../main.js").Hub} hub
 * @returns {Deed | null}
 */
function read(asked, hub) {
  const name = asked.get("light");
  asked.delete("light");
  const [[what, value] = ["", ""], another] = [...asked];
  if (!what || another) return null;
  if (what === "recall")
    return !name && hub.presets.includes(value) ? { text: value, run: () => hub.send({ recall: value }) } : null;

  const light = name ? hub.lights.get(name) : undefined;
  const lights = light ? [light] : [...hub.lights.values()];
  const deed = !name || light ? change(what, value, lights) : null;
  if (!deed) return null;
  const whose = light?.title ?? (lights.length > 1 ? pageWords.all : lights[0]?.title);
  return { ...deed, text: `${whose}: ${deed.text}` };
}

/**
 * @param {string} what
 * @param {string} value
 * @param {Light[]} lights
 * @returns {Deed | null}
 */
function change(what, value, lights) {
  /** @param {(light: Light) => void} run */
  const each = (run) => () => lights.forEach(run);
  switch (what) {
    case "level": {
      const level = value.trim() ? Number(value) : NaN;
      if (!(level >= 0 && level <= 100)) return null;
      // The service does not send a page its own level back.
      return { text: `${written(level)} %`, run: each((light) => (light.send({ level }), light.update({ level }))) };
    }
    case "on":
      return { text: pageWords.on, run: each((light) => light.send({ on: true })) };
    case "off":
      return { text: pageWords.off, run: each((light) => light.send({ on: false })) };
    case "toggle": {
      const on = !lights.some(({ slider }) => slider.level > 0);
      return { text: words.toggle, run: each((light) => light.send({ on })) };
    }
    case "effect":
      return Object.keys(pageWords.effects).includes(value)
        ? { text: pageWords.effects[value], run: each((light) => light.send({ effect: value })) }
        : null;
    default:
      return null;
  }
}
