// The words about home apps in French.

/** @type {import("../../../words.js").MatterWords} */
export default {
  title: "Apps de maison",
  hint: "Apple Home, Google Home, Alexa, SmartThings et Home Assistant commandent ces lampes par Matter. L’app dit que dimmer n’est pas certifié, ce qui est vrai.",
  add: "Ajouter une app",
  stop: "Arrêter",
  picture: "QR code pour l’app",
  scan: "Ajoutez un appareil dans l’app et scannez ceci avec l’appareil photo du téléphone, ou saisissez :",
  minutes: (minutes) => `Encore ${minutes} minutes`,
  byApp: "Une app a permis d’en associer d’autres et affiche le code.",
  onlyLan: "Le code n’est montré que sur le réseau de la maison.",
  unnamed: (index) => `App ${index}`,
  remove: (name) => `Retirer ${name}`,
  removes: "Cette app ne commandera plus les lampes :",
  removeIt: "Retirer",
  failed: "Cela n’a pas été fait :",
};
