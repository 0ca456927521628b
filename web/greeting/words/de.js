// The words that greet a new light in German.

/** @type {import("../../words.js").GreetingWords} */
export default {
  title: (light) => `Neues Licht: ${light}`,
  question: "Stell es heller: Leuchtet die LED?",
  yes: "Ja",
  no: "Nein",
  dark: "Die LED bleibt dunkel",
  wiring: (pin) => `Liegen die LED und ein Widerstand (330 Ω) in Reihe zwischen ${pin} und GND?`,
  legs: "Zeigt das lange Bein der LED zum GPIO und das kurze zu GND?",
  gpio: "Hängt die LED an einem anderen GPIO? Dann trage seine Nummer in der Einstellungsdatei unter gpio ein und starte den Dienst neu.",
  lit: "Jetzt leuchtet sie",
  later: "Später",
};
