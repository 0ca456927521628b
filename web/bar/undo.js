// Forgets presets and cancels timers, and offers to undo that.

import { toast } from "./toast.js";
import { words } from "../words.js";

/** @typedef {import("../main.js").Hub} Hub */

/**
 * @param {string} name
 * @param {Hub} hub
 */
export async function forget(name, hub) {
  // The page knows presets by their names alone, and what is lost here is lost for good.
  const answer = await fetch("api/presets").catch(() => null);
  /** @type {{ name: string, lights: object }[]} */
  const presets = answer?.ok ? await answer.json().catch(() => []) : [];
  const preset = presets.find((each) => each.name === name);
  if (!preset) return toast(words.notLoaded);
  hub.send({ forget: name });
  toast(words.removed(name), async () => {
    const path = `api/presets/${encodeURIComponent(name)}`, body = JSON.stringify({ lights: preset.lights });
    const answer = await fetch(path, { method: "PUT", body }).catch(() => null);
    if (!answer?.ok) toast(words.notLoaded);
  });
}

/**
 * @param {import("../connection.js").TimerInfo} timer
 * @param {string} what the timer in words
 * @param {Hub} hub
 */
export function cancel({ next, waiting, ...timer }, what, hub) {
  hub.send({ cancel: timer.name });
  toast(words.removed(what), () => {
    // One that has no time of day was set to run after a while.
    const left = Math.max(1, Math.round((Date.parse(next ?? "") - Date.now()) / 1000));
    hub.send({ timer: timer.at ? timer : { ...timer, in: left } });
  });
}
