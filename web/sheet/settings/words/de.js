// The words of the settings in German.

/** @type {import("../../../words.js").SettingsWords} */
export default {
  title: "Einstellungen",
  locked: 'Die Einstellungsdatei sperrt sie: darin steht settings = "file".',
  light: "Licht",
  house: "Dieser Dimmer",
  name: "Name",
  dimmerName: "Name",
  curve: "Kurve",
  curves: { linear: "linear", perceptual: "wie das Auge es sieht" },
  darkEnd: { title: "Dunkles Ende", hint: "Ziehen, bis das Licht gerade zu sehen ist." },
  brightEnd: { title: "Helles Ende", hint: "Ziehen, bis es so hell ist, wie es bei 100 % sein soll." },
  transition: "Eine Änderung dauert",
  onStart: "Nach einem Stromausfall",
  starts: { restore: "wie zuvor", off: "aus", level: "eine Helligkeit, in Prozent" },
  warmth: "Farbe der LED",
  hidden: "Nicht auf der Seite",
  groups: {
    title: "MQTT-Gruppen",
    hint: "Durch Kommas getrennt. Lichter einer Gruppe folgen einander, auf allen Dimmern am selben Broker.",
  },
  city: "Stadt",
  noCity: "keine",
  otherPlace: "ein anderer Ort",
  placeHint: "Für Timer bei Sonnenauf- und -untergang.",
  latitude: "° nördlich",
  longitude: "° östlich",
  save: "Speichern",
  cancel: "Abbrechen",
  reset: (what) => `Zurücknehmen: ${what}`,
  sources: { default: "Vorgabe", file: "Aus der Einstellungsdatei", here: "Hier eingestellt" },
};
