// The words about home apps in Portuguese of Portugal.

/** @type {import("../../../words.js").MatterWords} */
export default {
  title: "Apps da casa",
  hint: "Apple Home, Google Home, Alexa, SmartThings e Home Assistant controlam estas luzes por Matter. A app diz que o dimmer não é certificado, e é verdade.",
  add: "Adicionar uma app",
  stop: "Terminar",
  picture: "Código QR para a app",
  scan: "Adicione um dispositivo na app e leia isto com a câmara do telemóvel, ou escreva:",
  minutes: (minutes) => `Mais ${minutes} minutos`,
  byApp: "Uma app permitiu emparelhar outras e mostra o código.",
  onlyLan: "O código só aparece na rede de casa.",
  unnamed: (index) => `App ${index}`,
  remove: (name) => `Remover ${name}`,
  removes: "Esta app deixará de controlar as luzes:",
  removeIt: "Remover",
  failed: "Não foi feito:",
};
