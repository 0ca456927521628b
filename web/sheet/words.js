// The words of the sheet in the language of the page.

import { language } from "../words.js";

/** @type {{ default: import("../words.js").SheetWords }} */
const loaded = await import(`./words/${language}.js`);
export const words = loaded.default;
