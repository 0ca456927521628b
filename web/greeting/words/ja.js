// The words that greet a new light in Japanese.

/** @type {import("../../words.js").GreetingWords} */
export default {
  title: (light) => `新しいライト: ${light}`,
  question: "明るくしてみてください。LED は点灯しますか?",
  yes: "はい",
  no: "いいえ",
  dark: "LED が点灯しない場合",
  wiring: (pin) => `LED と抵抗 (330 Ω) は、${pin} と GND の間に直列につながっていますか?`,
  legs: "LED の長い足は GPIO 側、短い足は GND 側にありますか?",
  gpio: "LED が別の GPIO につながっている場合は、設定ファイルの gpio にその番号を書き、サービスを再起動してください。",
  lit: "点灯しました",
  later: "あとで",
};
