// The words of the settings in European Portuguese.

/** @type {import("../../../words.js").SettingsWords} */
export default {
  title: "Definições",
  locked: 'O ficheiro de definições bloqueia-as: tem settings = "file".',
  light: "Luz",
  house: "Este regulador",
  name: "Nome",
  dimmerName: "Nome",
  curve: "Curva",
  curves: { linear: "linear", perceptual: "como o olho a vê" },
  darkEnd: { title: "Extremo escuro", hint: "Arraste até ver a luz à justa." },
  brightEnd: { title: "Extremo claro", hint: "Arraste até ficar tão clara como deve ser a 100 %." },
  transition: "Uma mudança demora",
  onStart: "Depois de um corte de energia",
  starts: { restore: "como antes", off: "apagada", level: "um nível, em percentagem" },
  warmth: "Cor do LED",
  hidden: "Fora da página",
  groups: {
    title: "Grupos MQTT",
    hint: "Separados por vírgulas. As luzes de um grupo mudam em conjunto, em todos os reguladores do broker.",
  },
  city: "Cidade",
  noCity: "nenhuma",
  otherPlace: "outro local",
  placeHint: "Para temporizadores ao nascer e ao pôr do sol.",
  latitude: "° norte",
  longitude: "° este",
  save: "Guardar",
  cancel: "Cancelar",
  reset: (what) => `Anular: ${what}`,
  sources: { default: "Predefinição", file: "Do ficheiro de definições", here: "Definido aqui" },
};
