// The words about home apps in Arabic.

/** @type {import("../../../words.js").MatterWords} */
export default {
  title: "تطبيقات المنزل",
  hint: "تتحكم Apple Home وGoogle Home وAlexa وSmartThings وHome Assistant في هذه الأضواء عبر Matter. يقول التطبيق إن dimmer غير معتمد، وهذا صحيح.",
  add: "إضافة تطبيق",
  stop: "إنهاء",
  picture: "رمز QR للتطبيق",
  scan: "أضف جهازًا في التطبيق وامسح هذا بكاميرا الهاتف، أو اكتب:",
  minutes: (minutes) => `${minutes} دقيقة أخرى`,
  byApp: "سمح تطبيق بإقران تطبيقات أخرى، وهو يعرض الرمز.",
  onlyLan: "لا يظهر الرمز إلا في شبكة المنزل.",
  unnamed: (index) => `تطبيق ${index}`,
  remove: (name) => `إزالة ${name}`,
  removes: "لن يتحكم هذا التطبيق في الأضواء بعد الآن:",
  removeIt: "إزالة",
  failed: "لم يتم ذلك:",
};
