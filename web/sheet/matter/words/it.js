// The words about home apps in Italian.

/** @type {import("../../../words.js").MatterWords} */
export default {
  title: "App per la casa",
  hint: "Apple Home, Google Home, Alexa, SmartThings e Home Assistant controllano queste luci tramite Matter. L’app dice che dimmer non è certificato, ed è vero.",
  add: "Aggiungi un’app",
  stop: "Termina",
  picture: "Codice QR per l’app",
  scan: "Aggiungi un dispositivo nell’app e inquadra questo con la fotocamera del telefono, oppure digita:",
  minutes: (minutes) => `Ancora ${minutes} minuti`,
  byApp: "Un’app ha permesso di abbinarne altre e mostra il codice.",
  onlyLan: "Il codice si vede solo nella rete di casa.",
  unnamed: (index) => `App ${index}`,
  remove: (name) => `Rimuovi ${name}`,
  removes: "Questa app non controllerà più le luci:",
  removeIt: "Rimuovi",
  failed: "Non è stato fatto:",
};
