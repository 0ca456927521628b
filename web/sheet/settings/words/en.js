// The words of the settings in English.

/** @type {import("../../../words.js").SettingsWords} */
export default {
  title: "Settings",
  locked: 'The settings file locks these: it has settings = "file".',
  light: "Light",
  house: "This dimmer",
  name: "Name",
  dimmerName: "Name",
  curve: "Curve",
  curves: { linear: "linear", perceptual: "as the eye sees it" },
  darkEnd: { title: "Dark end", hint: "Drag until you just see the light." },
  brightEnd: { title: "Bright end", hint: "Drag until it is as bright as it shall be at 100 %." },
  transition: "A change takes",
  onStart: "After a power cut",
  starts: { restore: "as before", off: "off", level: "a level, in percent" },
  warmth: "Colour of the LED",
  hidden: "Not on the page",
  groups: {
    title: "MQTT groups",
    hint: "Separated by commas. Lights of a group move together, on all dimmers of the broker.",
  },
  city: "City",
  noCity: "none",
  otherPlace: "another place",
  placeHint: "For timers at sunrise and sunset.",
  latitude: "° north",
  longitude: "° east",
  save: "Save",
  cancel: "Cancel",
  reset: (what) => `Take back: ${what}`,
  sources: { default: "Default", file: "From the settings file", here: "Set here" },
};
