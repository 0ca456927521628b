// The words of the settings in French.

/** @type {import("../../../words.js").SettingsWords} */
export default {
  title: "Réglages",
  locked: 'Le fichier de réglages les verrouille : il contient settings = "file".',
  light: "Lumière",
  house: "Ce variateur",
  name: "Nom",
  dimmerName: "Nom",
  curve: "Courbe",
  curves: { linear: "linéaire", perceptual: "comme l’œil la voit" },
  darkEnd: { title: "Fin sombre", hint: "Glissez jusqu’à voir tout juste la lumière." },
  brightEnd: { title: "Fin claire", hint: "Glissez jusqu’à la clarté voulue à 100 %." },
  transition: "Un changement dure",
  onStart: "Après une coupure de courant",
  starts: { restore: "comme avant", off: "éteinte", level: "un niveau, en pour cent" },
  warmth: "Couleur de la LED",
  hidden: "Pas sur la page",
  groups: {
    title: "Groupes MQTT",
    hint: "Séparés par des virgules. Les lumières d’un groupe changent ensemble, sur tous les variateurs du broker.",
  },
  city: "Ville",
  noCity: "aucune",
  otherPlace: "un autre lieu",
  placeHint: "Pour les minuteries au lever et au coucher du soleil.",
  latitude: "° nord",
  longitude: "° est",
  save: "Enregistrer",
  cancel: "Annuler",
  reset: (what) => `Rétablir : ${what}`,
  sources: { default: "Par défaut", file: "Du fichier de réglages", here: "Réglé ici" },
};
