// Restores a backup from a file, once somebody has agreed.

import { toast } from "../bar/toast.js";
import { words as pageWords } from "../words.js";
import { ask } from "./ask.js";
import { words } from "./words.js";

// Bytes of a file that are sent. The service takes fewer, and can say so as long as not many more come.
const MOST = 1 << 18;

/** @param {File} file */
export function restore(file) {
  ask(words.replaces, file.name, { word: words.restore, run: () => send(file) });
}

/** @param {File} file */
async function send(file) {
  const answer = await fetch("api/backup", { method: "PUT", body: file.slice(0, MOST) }).catch(() => null);
  /** @type {{ error?: string, notes?: string[] }} */
  const { error, notes = [] } = (await answer?.json().catch(() => null)) ?? { error: pageWords.notLoaded };
  if (error) ask(words.notRestored, error);
  else if (notes.length) ask(words.restored, notes.join("\n"));
  else toast(words.restored);
}
