// The words about home apps in English.

/** @type {import("../../../words.js").MatterWords} */
export default {
  title: "Home apps",
  hint: "Apple Home, Google Home, Alexa, SmartThings and Home Assistant control these lights by Matter. The app says that dimmer is not certified, which is so.",
  add: "Add a home app",
  stop: "Stop",
  picture: "QR code for the home app",
  scan: "Add a device in the home app, and scan this with the phone’s camera, or type in:",
  minutes: (minutes) => `For ${minutes} more minutes`,
  byApp: "A home app has allowed others to pair, and shows the code.",
  onlyLan: "The code is shown in the home network only.",
  unnamed: (index) => `Home app ${index}`,
  remove: (name) => `Remove ${name}`,
  removes: "This home app will no longer control the lights:",
  removeIt: "Remove",
  failed: "That was not done:",
};
