// The words that greet a new light in English.

/** @type {import("../../words.js").GreetingWords} */
export default {
  title: (light) => `New light: ${light}`,
  question: "Turn it up: does the LED light up?",
  yes: "Yes",
  no: "No",
  dark: "The LED stays dark",
  wiring: (pin) => `Are the LED and a resistor (330 Ω) in series between ${pin} and GND?`,
  legs: "Is the long leg of the LED on the side of the GPIO, and the short one on the side of GND?",
  gpio: "Is the LED on another GPIO? Then set its number as gpio in the settings file, and restart the service.",
  lit: "It lights up now",
  later: "Later",
};
