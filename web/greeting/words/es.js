// The words that greet a new light in Spanish.

/** @type {import("../../words.js").GreetingWords} */
export default {
  title: (light) => `Luz nueva: ${light}`,
  question: "Sube el brillo: ¿se enciende el LED?",
  yes: "Sí",
  no: "No",
  dark: "El LED sigue apagado",
  wiring: (pin) => `¿Están el LED y una resistencia (330 Ω) en serie entre el ${pin} y GND?`,
  legs: "¿Está la pata larga del LED en el lado del GPIO y la corta en el lado de GND?",
  gpio: "¿Está el LED en otro GPIO? Entonces pon su número en gpio, en el archivo de ajustes, y reinicia el servicio.",
  lit: "Ahora se enciende",
  later: "Más tarde",
};
