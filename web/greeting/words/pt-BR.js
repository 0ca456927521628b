// The words that greet a new light in Portuguese of Brazil.

/** @type {import("../../words.js").GreetingWords} */
export default {
  title: (light) => `Nova luz: ${light}`,
  question: "Aumente o brilho: o LED acende?",
  yes: "Sim",
  no: "Não",
  dark: "O LED continua apagado",
  wiring: (pin) => `O LED e um resistor (330 Ω) estão em série entre o ${pin} e o GND?`,
  legs: "A perna longa do LED está do lado do GPIO e a curta do lado do GND?",
  gpio: "O LED está em outro GPIO? Então coloque o número dele em gpio, no arquivo de ajustes, e reinicie o serviço.",
  lit: "Agora acende",
  later: "Mais tarde",
};
