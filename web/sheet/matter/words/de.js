// The words about home apps in German.

/** @type {import("../../../words.js").MatterWords} */
export default {
  title: "Smart-Home-Apps",
  hint: "Apple Home, Google Home, Alexa, SmartThings und Home Assistant steuern diese Lichter über Matter. Die App sagt, dass dimmer nicht zertifiziert ist; das stimmt.",
  add: "App hinzufügen",
  stop: "Beenden",
  picture: "QR-Code für die App",
  scan: "In der App ein Gerät hinzufügen und dies mit der Kamera des Handys scannen, oder eingeben:",
  minutes: (minutes) => `Noch ${minutes} Minuten`,
  byApp: "Eine App hat erlaubt, weitere zu koppeln, und zeigt den Code.",
  onlyLan: "Der Code wird nur im Heimnetz gezeigt.",
  unnamed: (index) => `App ${index}`,
  remove: (name) => `${name} entfernen`,
  removes: "Diese App wird die Lichter nicht mehr steuern:",
  removeIt: "Entfernen",
  failed: "Das wurde nicht getan:",
};
