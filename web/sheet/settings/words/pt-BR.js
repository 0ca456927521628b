// The words of the settings in Brazilian Portuguese.

/** @type {import("../../../words.js").SettingsWords} */
export default {
  title: "Ajustes",
  locked: 'O arquivo de ajustes os trava: ele tem settings = "file".',
  light: "Luz",
  house: "Este dimmer",
  name: "Nome",
  dimmerName: "Nome",
  curve: "Curva",
  curves: { linear: "linear", perceptual: "como o olho vê" },
  darkEnd: { title: "Ponta escura", hint: "Arraste até mal enxergar a luz." },
  brightEnd: { title: "Ponta clara", hint: "Arraste até ficar tão clara quanto deve ser em 100 %." },
  transition: "Uma mudança leva",
  onStart: "Depois de faltar energia",
  starts: { restore: "como antes", off: "apagada", level: "um nível, em por cento" },
  warmth: "Cor do LED",
  hidden: "Fora da página",
  groups: {
    title: "Grupos MQTT",
    hint: "Separados por vírgulas. As luzes de um grupo mudam juntas, em todos os dimmers do broker.",
  },
  city: "Cidade",
  noCity: "nenhuma",
  otherPlace: "outro lugar",
  placeHint: "Para timers no nascer e no pôr do sol.",
  latitude: "° norte",
  longitude: "° leste",
  save: "Salvar",
  cancel: "Cancelar",
  reset: (what) => `Desfazer: ${what}`,
  sources: { default: "Padrão", file: "Do arquivo de ajustes", here: "Ajustado aqui" },
};
