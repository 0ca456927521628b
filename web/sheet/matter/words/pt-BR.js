// The words about home apps in Portuguese of Brazil.

/** @type {import("../../../words.js").MatterWords} */
export default {
  title: "Apps da casa",
  hint: "Apple Home, Google Home, Alexa, SmartThings e Home Assistant controlam estas luzes por Matter. O app diz que o dimmer não é certificado, e é verdade.",
  add: "Adicionar um app",
  stop: "Encerrar",
  picture: "Código QR para o app",
  scan: "Adicione um dispositivo no app e leia isto com a câmera do celular, ou digite:",
  minutes: (minutes) => `Mais ${minutes} minutos`,
  byApp: "Um app permitiu parear outros e mostra o código.",
  onlyLan: "O código só aparece na rede de casa.",
  unnamed: (index) => `App ${index}`,
  remove: (name) => `Remover ${name}`,
  removes: "Este app não controlará mais as luzes:",
  removeIt: "Remover",
  failed: "Não foi feito:",
};
