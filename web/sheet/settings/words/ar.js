// The words of the settings in Arabic.

/** @type {import("../../../words.js").SettingsWords} */
export default {
  title: "الإعدادات",
  locked: 'ملف الإعدادات يقفلها: فيه settings = "file".',
  light: "الضوء",
  house: "هذا المخفّت",
  name: "الاسم",
  dimmerName: "الاسم",
  curve: "المنحنى",
  curves: { linear: "خطي", perceptual: "كما تراه العين" },
  darkEnd: { title: "الطرف المظلم", hint: "اسحب حتى ترى الضوء بالكاد." },
  brightEnd: { title: "الطرف الساطع", hint: "اسحب حتى يسطع كما يجب عند 100 %." },
  transition: "يستغرق التغيير",
  onStart: "بعد انقطاع الكهرباء",
  starts: { restore: "كما كان", off: "مطفأ", level: "مستوى، بالمئة" },
  warmth: "لون المصباح",
  hidden: "ليس على الصفحة",
  groups: {
    title: "مجموعات MQTT",
    hint: "تفصل بينها فواصل. تتغيّر أضواء المجموعة معًا على كل الأجهزة المتصلة بالوسيط نفسه.",
  },
  city: "المدينة",
  noCity: "لا شيء",
  otherPlace: "مكان آخر",
  placeHint: "لمؤقتات الشروق والغروب.",
  latitude: "° شمالًا",
  longitude: "° شرقًا",
  save: "حفظ",
  cancel: "إلغاء",
  reset: (what) => `تراجع: ${what}`,
  sources: { default: "افتراضي", file: "من ملف الإعدادات", here: "ضُبط هنا" },
};
