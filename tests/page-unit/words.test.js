// The words of each language: none is missing, none is left over, and each text has the values that it is given.

import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { test } from "node:test";

import { FakeBrowser } from "./browser.js";

new FakeBrowser();
const { languageFor } = await import("../../web/words.js");

const folders = ["words", "sheet/words", "sheet/settings/words", "sheet/matter/words", "greeting/words"].map(
  (folder) => new URL(`../../web/${folder}/`, import.meta.url),
);
const languages = readdirSync(folders[0]).map((file) => file.replace(".js", ""));
/** Language → its words: those of the page, of the sheet, of the settings, of home apps and of the greeting. */
const all = {};
for (const language of languages) {
  const [page, sheet, settings, matter, greeting] = await Promise.all(folders.map((folder) => import(`${folder}${language}.js`)));
  all[language] = { ...page.default, sheet: sheet.default, settings: settings.default, matter: matter.default, greeting: greeting.default };
}

/** Path → text, in which each value that it is given stands as `<name>`. */
function texts(words, path = "") {
  if (typeof words === "string") return { [path]: words };
  if (typeof words === "function") return { [path]: words(...values(path)) };
  return Object.assign({}, ...Object.entries(words).map(([key, value]) => texts(value, `${path}.${key}`)));
}

const ENTRY = { level: "<level>", effect: "<effect>", preset: "<preset>", timer: "<timer>", text: "<text>", count: "<count>" };
const values = (path) => (path.includes(".did.") ? [ENTRY, "<light>"] : path === ".pages" ? [2] : ["<a>", "<b>"]);
const places = (text) => (text.match(/<\w+>/g) ?? []).sort().join();

test("every language has all words, and no others", () => {
  const english = texts(all.en);
  assert.ok(Object.keys(english).length > 80);
  for (const language of languages) {
    const own = texts(all[language]);
    assert.deepEqual(Object.keys(own).sort(), Object.keys(english).sort(), language);
    for (const [path, text] of Object.entries(own)) {
      assert.ok(text.trim(), `${language}${path}`);
      assert.ok(!/undefined|\bnull\b|\$\{/.test(text), `${language}${path}: ${text}`);
      assert.equal(places(text), places(english[path]), `${language}${path}: ${text}`);
      // The names of settings and headers stay as they are.
      for (const name of english[path].match(/\b\w+_\w+\b|WebSocket|Upgrade|Connection/g) ?? [])
        assert.ok(text.includes(name), `${language}${path}: ${name}`);
    }
  }
});

test("no language is English under another name", () => {
  for (const language of languages.filter((language) => language !== "en")) {
    const english = Object.values(texts(all.en));
    const own = Object.values(texts(all[language]));
    const same = own.filter((text, place) => text === english[place]).length;
    assert.ok(same < own.length / 8, `${language}: ${same} of ${own.length}`);
  }
});

test("the language is that of the browser, as near as there is one", () => {
  for (const [locale, language] of [
    ["en-GB", "en"], ["pt", "pt-BR"], ["pt-BR", "pt-BR"], ["PT-pt", "pt-PT"], ["pt-AO", "pt-PT"], ["de-AT", "de"],
    ["ja-JP", "ja"], ["ar-EG", "ar"], ["es-419", "es"], ["nl", undefined], ["eo", undefined], ["", undefined],
  ])
    assert.equal(languageFor(locale), language, locale);
  const files = new Set(["ar-XB", "de", "en", "es", "fr", "it", "ja", "pt-BR", "pt-PT"].map(languageFor));
  assert.deepEqual([...files].sort(), [...languages].sort());
});
