// The words of the page in its languages, and the one that this browser prefers.

/**
 * @typedef {{ connecting: string, reconnecting: string, pages(n: number): string, live: string, theLed: string,
 *   fault(what: string, message: string): string, simulated: string, noLights: string, light: string, level: string,
 *   more: string, less: string, off: string, all: string, percent(number: string): string,
 *   left(time: string): string, sheet: string, notLoaded: string, effects: Record<string, string>,
 *   decimal: string }} Words
 */

/** @type {Record<Language, Words>} */
const WORDS = {
  en: {
    connecting: "Connecting…",
    reconnecting: "Reconnecting…",
    pages: (n) => (n === 1 ? "Live · only this page is open" : `Live · ${n} pages open`),
    live: "Live",
    theLed: "The LED",
    fault: (what, message) => `${what} does not answer: ${message}`,
    simulated: "Simulated LED: no pin is driven",
    noLights: "All lights are hidden",
    light: "Light",
    level: "Level",
    more: "More light",
    less: "Less light",
    off: "Off",
    all: "All lights",
    percent: (number) => `${number} percent`,
    left: (time) => `${time} left`,
    sheet: "Effects, presets, timers",
    notLoaded: "This did not load. Try again, or reload the page.",
    effects: { breathe: "Breathe", blink: "Blink", candle: "Candle", strobe: "Strobe", sunrise: "Sunrise" },
    decimal: ".",
  },
  "pt-BR": {
    connecting: "Conectando…",
    reconnecting: "Reconectando…",
    pages: (n) => (n === 1 ? "Ao vivo · só esta página está aberta" : `Ao vivo · ${n} páginas abertas`),
    live: "Ao vivo",
    theLed: "O LED",
    fault: (what, message) => `${what} não responde: ${message}`,
    simulated: "LED simulado: nenhum pino é acionado",
    noLights: "Todas as luzes estão ocultas",
    light: "Luz",
    level: "Nível",
    more: "Mais luz",
    less: "Menos luz",
    off: "Desligado",
    all: "Todas as luzes",
    percent: (number) => `${number} por cento`,
    left: (time) => `faltam ${time}`,
    sheet: "Efeitos, cenas, timers",
    notLoaded: "Isto não carregou. Tente de novo ou recarregue a página.",
    effects: { breathe: "Respirar", blink: "Piscar", candle: "Vela", strobe: "Estrobo", sunrise: "Amanhecer" },
    decimal: ",",
  },
};

const preferred = navigator.languages.find((language) => /^(en|pt)\b/i.test(language)) ?? "en";

/** @typedef {"en" | "pt-BR"} Language */
/** @type {Language} */
export const language = /^pt/i.test(preferred) ? "pt-BR" : "en";
export const words = WORDS[language];

/**
 * The number as people write it. Not by Intl: its first use took some 50 ms in a new browser on a CPU slowed down
 * 4 times.
 * @param {number} number
 */
export const written = (number) => String(number).replace(".", words.decimal);
