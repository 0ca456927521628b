// The words that greet a new light in Arabic.

/** @type {import("../../words.js").GreetingWords} */
export default {
  title: (light) => `مصباح جديد: ${light}`,
  question: "ارفع السطوع: هل يضيء مصباح LED؟",
  yes: "نعم",
  no: "لا",
  dark: "مصباح LED لا يضيء",
  wiring: (pin) => `هل مصباح LED والمقاومة (330 Ω) موصولان على التوالي بين ${pin} و GND؟`,
  legs: "هل الساق الطويلة لمصباح LED من جهة GPIO والقصيرة من جهة GND؟",
  gpio: "هل مصباح LED على GPIO آخر؟ اكتب رقمه في gpio في ملف الإعدادات، ثم أعد تشغيل الخدمة.",
  lit: "يضيء الآن",
  later: "لاحقًا",
};
