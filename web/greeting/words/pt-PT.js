// The words that greet a new light in Portuguese of Portugal.

/** @type {import("../../words.js").GreetingWords} */
export default {
  title: (light) => `Nova luz: ${light}`,
  question: "Aumente o brilho: o LED acende?",
  yes: "Sim",
  no: "Não",
  dark: "O LED continua apagado",
  wiring: (pin) => `O LED e uma resistência (330 Ω) estão em série entre o ${pin} e o GND?`,
  legs: "A perna comprida do LED está do lado do GPIO e a curta do lado do GND?",
  gpio: "O LED está noutro GPIO? Então ponha o número dele em gpio, no ficheiro de definições, e reinicie o serviço.",
  lit: "Agora acende",
  later: "Mais tarde",
};
