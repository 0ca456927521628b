// The words of the settings in Italian.

/** @type {import("../../../words.js").SettingsWords} */
export default {
  title: "Impostazioni",
  locked: 'Il file delle impostazioni le blocca: contiene settings = "file".',
  light: "Luce",
  house: "Questo dimmer",
  name: "Nome",
  dimmerName: "Nome",
  curve: "Curva",
  curves: { linear: "lineare", perceptual: "come la vede l’occhio" },
  darkEnd: { title: "Estremo scuro", hint: "Trascina finché vedi appena la luce." },
  brightEnd: { title: "Estremo chiaro", hint: "Trascina finché è luminosa come dev’essere al 100 %." },
  transition: "Un cambio dura",
  onStart: "Dopo un’interruzione di corrente",
  starts: { restore: "come prima", off: "spenta", level: "un livello, in percento" },
  warmth: "Colore del LED",
  hidden: "Non sulla pagina",
  groups: {
    title: "Gruppi MQTT",
    hint: "Separati da virgole. Le luci di un gruppo cambiano insieme, su tutti i dimmer del broker.",
  },
  city: "Città",
  noCity: "nessuna",
  otherPlace: "un altro luogo",
  placeHint: "Per i timer all’alba e al tramonto.",
  latitude: "° nord",
  longitude: "° est",
  save: "Salva",
  cancel: "Annulla",
  reset: (what) => `Ripristina: ${what}`,
  sources: { default: "Predefinito", file: "Dal file delle impostazioni", here: "Impostato qui" },
};
