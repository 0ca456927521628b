// The elements of the sheet.

import { words as pageWords } from "../words.js";
import { words } from "./words.js";

/**
 * @param {string} name
 * @param {string} word
 */
const tab = (name, word) =>
  `<button id="tab-${name}" type="button" role="tab" aria-controls="part-${name}">${word}</button>`;

export const markup = `
  <dialog id="sheet" class="sheet" aria-label="${pageWords.sheetTitle}">
    <div class="head">
      <button class="handle" type="button" aria-label="${words.tall}" aria-pressed="false"></button>
      <div class="tabs" role="tablist" aria-label="${pageWords.sheetTitle}">
        ${tab("now", words.now)}
        ${tab("presets", words.presetsTitle)}
        ${tab("timers", words.timersTitle)}
      </div>
      <button class="close" type="button" aria-label="${words.close}" autofocus><span aria-hidden="true">×</span></button>
      <p class="said" role="alert"></p>
    </div>
    <div class="all"><fieldset>
      <label class="which"><span>${words.for}</span> <select></select></label>

      <div id="part-now" role="tabpanel" aria-labelledby="tab-now">
        <section class="effects">
          <div class="chips"></div>
          <form class="sunrise" hidden>
            <label><span>${words.takes}</span> <input type="number" min="1" max="60" value="30" required> <span>${words.minutes}</span></label>
            <button>${words.start}</button>
          </form>
          <div class="speed"><label for="speed">${words.speed}</label> <input id="speed" type="range" min="0.1" max="3" step="0.1" value="1"> <output for="speed" aria-live="off"></output></div>
        </section>
        <section class="activity"><button class="chip" type="button">${words.who}</button></section>
        <section class="settings"><button class="chip" type="button">${words.settings}</button></section>
        <section class="matter" hidden><button class="chip" type="button">${words.homeApps}</button></section>
        <section class="service">
          <ul class="list" hidden></ul>
          <div class="chips">
            <a class="chip" href="api/backup" download>${words.backUp}</a>
            <button class="chip restore" type="button">${words.restore}</button>
            <input type="file" accept=".json" aria-label="${words.restore}" hidden>
            <button class="chip out" type="button">${words.logOut}</button>
          </div>
        </section>
      </div>

      <section id="part-presets" class="presets" role="tabpanel" aria-labelledby="tab-presets">
        <ul class="chips"></ul>
        <form class="save">
          <input type="text" maxlength="40" required autocomplete="off" enterkeyhint="done" aria-label="${words.presetName}" placeholder="${words.presetName}">
          <button>${words.save}</button>
        </form>
      </section>

      <section id="part-timers" class="timers" role="tabpanel" aria-labelledby="tab-timers">
        <p id="sleep-title" class="hint"><span>${words.sleep}</span> <small>${words.sleepHint}</small></p>
        <div class="chips sleep" role="group" aria-labelledby="sleep-title"></div>
        <button class="chip waker" type="button" aria-expanded="false" aria-controls="new-timer">${words.newTimer}</button>
        <form id="new-timer" class="wake" hidden>
          <label><span>${words.what}</span> <select name="what"></select></label>
          <label><span>${pageWords.level}</span> <input name="level" type="number" min="0.1" max="100" step="0.1" value="50" required> <span>%</span></label>
          <label><span>${words.when}</span> <select name="when">
            <option value="time">${words.atTime}</option>
            <option value="sunrise">${words.at.sunrise}</option>
            <option value="sunset">${words.at.sunset}</option>
            <option value="after">${words.after}</option>
          </select></label>
          <label><input name="at" type="time" value="07:00" aria-label="${words.atTime}" required></label>
          <label><input name="offset" type="number" min="-180" max="180" value="0" required> <span>${words.later}</span></label>
          <label><input name="after" type="number" min="1" max="1440" value="30" aria-label="${words.after}" required> <span>${words.minutes}</span></label>
          <label><span>${words.takes}</span> <input name="minutes" type="number" min="0" max="60" value="30" required> <span>${words.minutes}</span></label>
          <fieldset class="days"><legend>${words.days}</legend></fieldset>
          <button>${words.add}</button>
        </form>
        <ul class="list"></ul>
      </section>
    </fieldset></div>
  </dialog>`;
