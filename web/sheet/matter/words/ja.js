// The words about home apps in Japanese.

/** @type {import("../../../words.js").MatterWords} */
export default {
  title: "ホームアプリ",
  hint: "Apple ホーム、Google Home、Alexa、SmartThings、Home Assistant から Matter で操作できます。dimmer は認証を受けていないため、アプリにそう表示されます。",
  add: "アプリを追加",
  stop: "終了",
  picture: "アプリ用の QR コード",
  scan: "アプリでデバイスを追加し、スマートフォンのカメラで読み取るか、次の番号を入力してください：",
  minutes: (minutes) => `あと ${minutes} 分`,
  byApp: "ほかのアプリのペアリングが許可されています。コードはそのアプリに表示されています。",
  onlyLan: "コードは家庭内ネットワークでのみ表示されます。",
  unnamed: (index) => `アプリ ${index}`,
  remove: (name) => `${name} を削除`,
  removes: "このアプリは照明を操作できなくなります：",
  removeIt: "削除",
  failed: "実行されませんでした：",
};
