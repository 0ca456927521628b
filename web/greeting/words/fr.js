// The words that greet a new light in French.

/** @type {import("../../words.js").GreetingWords} */
export default {
  title: (light) => `Nouvelle lampe : ${light}`,
  question: "Augmentez la luminosité : la LED s’allume-t-elle ?",
  yes: "Oui",
  no: "Non",
  dark: "La LED reste éteinte",
  wiring: (pin) => `La LED et une résistance (330 Ω) sont-elles en série entre le GPIO (${pin}) et GND ?`,
  legs: "La patte longue de la LED est-elle du côté du GPIO, et la courte du côté de GND ?",
  gpio: "La LED est-elle sur un autre GPIO ? Indiquez alors son numéro sous gpio dans le fichier de réglages, puis redémarrez le service.",
  lit: "Elle s’allume maintenant",
  later: "Plus tard",
};
