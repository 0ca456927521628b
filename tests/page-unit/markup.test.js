// The type check trusts markup.d.ts to know which elements there are.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

const read = (path) => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
const declared = read("tests/page-unit/markup.d.ts").replaceAll(/\/\*.*?\*\/|\/\/[^\n]*/gs, "");
const selectors = [...declared.matchAll(/"([^"]+)"/g)].map(([, selector]) => selector);
const html = ["web/index.html", "web/sheet/markup.js", "web/sheet/activity.js", "web/bar/running.js", "src/web/auth/login.html"]
  .map(read).join("");

/** Whether some element has this tag, class, id or name. */
function isThere(part) {
  const name = part.replace(/:(enabled|checked)$/, "").replace(/^[.#]|^\[(name|role)=|\]$/g, "");
  if (html.includes(`className = "${name}"`)) return true;
  if (part.startsWith(".")) return new RegExp(`class="([^"]* )?${name}[ "]`).test(html);
  if (part.startsWith("#")) return html.includes(`id="${name}"`);
  if (part.startsWith("[")) return html.includes(`name="${name}"`) || html.includes(`role="${name}"`);
  return new RegExp(`<${name}[ >]`).test(html);
}

test("every selector of markup.d.ts is in the markup", () => {
  assert.ok(selectors.length > 40, `${selectors.length} selectors`);
  const missing = selectors.filter((selector) => !selector.split(" ").every(isThere));
  assert.deepEqual(missing, []);
});

test("an element that is not in the markup is found to be missing", () => {
  assert.deepEqual(["nav", ".lam", "#lamp", "[name=days]"].filter(isThere), []);
});
