// The words of the settings in Spanish.

/** @type {import("../../../words.js").SettingsWords} */
export default {
  title: "Ajustes",
  locked: 'El archivo de ajustes los bloquea: tiene settings = "file".',
  light: "Luz",
  house: "Este regulador",
  name: "Nombre",
  dimmerName: "Nombre",
  curve: "Curva",
  curves: { linear: "lineal", perceptual: "como la ve el ojo" },
  darkEnd: { title: "Extremo oscuro", hint: "Desliza hasta que apenas veas la luz." },
  brightEnd: { title: "Extremo claro", hint: "Desliza hasta que brille como debe al 100 %." },
  transition: "Un cambio dura",
  onStart: "Tras un corte de luz",
  starts: { restore: "como antes", off: "apagada", level: "un nivel, en por ciento" },
  warmth: "Color del LED",
  hidden: "No en la página",
  groups: {
    title: "Grupos MQTT",
    hint: "Separados por comas. Las luces de un grupo cambian juntas, en todos los reguladores del bróker.",
  },
  city: "Ciudad",
  noCity: "ninguna",
  otherPlace: "otro lugar",
  placeHint: "Para temporizadores al amanecer y al atardecer.",
  latitude: "° norte",
  longitude: "° este",
  save: "Guardar",
  cancel: "Cancelar",
  reset: (what) => `Deshacer: ${what}`,
  sources: { default: "Por defecto", file: "Del archivo de ajustes", here: "Ajustado aquí" },
};
