// A question over the page: what would be done, and whether it shall be. Without a deed, what there is to read.

import { button } from "../elements.js";
import { words } from "./words.js";

const READING = 700; // ms in which a tap that was meant for something else does nothing

/**
 * @param {string} heading
 * @param {string} text
 * @param {{ word: string, run(): void } | null} [deed]
 */
export function ask(heading, text, deed) {
  const dialog = document.createElement("dialog");
  dialog.className = "sheet ask";
  const title = document.createElement("h2"), about = document.createElement("p"), row = document.createElement("div");
  title.textContent = heading;
  title.id = "ask-title";
  dialog.setAttribute("aria-labelledby", title.id);
  about.textContent = text;
  row.className = "chips";
  const cancel = button("chip cancel", deed ? words.cancel : words.close);
  cancel.addEventListener("click", () => dialog.close());
  row.append(cancel);
  if (deed) {
    const run = button("chip run", deed.word);
    run.disabled = true;
    setTimeout(() => (run.disabled = false), READING);
    run.addEventListener("click", () => {
      deed.run();
      dialog.close();
    });
    row.append(run);
  }
  dialog.append(title, about, row);
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}
