// The words that greet a new light in Italian.

/** @type {import("../../words.js").GreetingWords} */
export default {
  title: (light) => `Nuova luce: ${light}`,
  question: "Aumenta la luminosità: il LED si accende?",
  yes: "Sì",
  no: "No",
  dark: "Il LED resta spento",
  wiring: (pin) => `Il LED e una resistenza (330 Ω) sono in serie tra ${pin} e GND?`,
  legs: "La gamba lunga del LED è dalla parte del GPIO e quella corta dalla parte di GND?",
  gpio: "Il LED è su un altro GPIO? Allora scrivi il suo numero in gpio, nel file delle impostazioni, e riavvia il servizio.",
  lit: "Ora si accende",
  later: "Più tardi",
};
