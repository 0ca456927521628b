// The words about home apps in Spanish.

/** @type {import("../../../words.js").MatterWords} */
export default {
  title: "Apps de hogar",
  hint: "Apple Home, Google Home, Alexa, SmartThings y Home Assistant controlan estas luces por Matter. La app dice que dimmer no está certificado, y es así.",
  add: "Añadir una app",
  stop: "Terminar",
  picture: "Código QR para la app",
  scan: "Añade un dispositivo en la app y escanea esto con la cámara del teléfono, o escribe:",
  minutes: (minutes) => `Quedan ${minutes} minutos`,
  byApp: "Una app ha permitido vincular otras y muestra el código.",
  onlyLan: "El código solo se muestra en la red de casa.",
  unnamed: (index) => `App ${index}`,
  remove: (name) => `Quitar ${name}`,
  removes: "Esta app dejará de controlar las luces:",
  removeIt: "Quitar",
  failed: "No se ha hecho:",
};
