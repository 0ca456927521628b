// The words of the settings in Japanese.

/** @type {import("../../../words.js").SettingsWords} */
export default {
  title: "設定",
  locked: '設定ファイルに settings = "file" があるため、変更できません。',
  light: "ライト",
  house: "この調光器",
  name: "名前",
  dimmerName: "名前",
  curve: "カーブ",
  curves: { linear: "直線", perceptual: "目に見える明るさ" },
  darkEnd: { title: "暗い端", hint: "光がかすかに見えるまで動かしてください。" },
  brightEnd: { title: "明るい端", hint: "100 % のときの明るさになるまで動かしてください。" },
  transition: "変化にかける時間",
  onStart: "停電のあと",
  starts: { restore: "前と同じ", off: "消灯", level: "明るさ（パーセント）" },
  warmth: "LED の色",
  hidden: "ページに表示しない",
  groups: {
    title: "MQTTグループ",
    hint: "カンマで区切ります。同じグループのライトは、ブローカーのすべての調光器で一緒に変わります。",
  },
  city: "都市",
  noCity: "なし",
  otherPlace: "ほかの場所",
  placeHint: "日の出と日の入りのタイマーに使います。",
  latitude: "北緯 °",
  longitude: "東経 °",
  save: "保存",
  cancel: "キャンセル",
  reset: (what) => `元に戻す：${what}`,
  sources: { default: "既定", file: "設定ファイルから", here: "ここで設定" },
};
