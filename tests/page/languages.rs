//! The page and the sheet in each language.

use crate::browser::{Browser, in_each_browser};
use crate::common::{Setup, until};
use serde_json::json;

const TWO: &str = "[[light]]\n[[light]]\nname = \"shelf\"\ngpio = 20\n";

async fn each_language_fills_the_page_and_only_its_own_words_are_loaded(browser: Browser) {
    let dimmer = Setup::with(TWO).start();
    for (locale, lang, word, number) in [
        ("ar-EG", "ar", "متصل", "٥٠"),
        ("de-DE", "de", "Verbunden", "50"),
        ("es-ES", "es", "Conectado", "50"),
        ("fr-FR", "fr", "Connecté", "50"),
        ("it-IT", "it", "Connesso", "50"),
        ("ja-JP", "ja", "接続済み", "50"),
        ("pt-PT", "pt-PT", "Ligação ativa", "50"),
    ] {
        let phone = browser.phone_in(locale, dimmer.address.port()).await;
        assert_eq!(phone.attribute("html", "lang").await.unwrap(), lang);
        until("the status is translated", async || {
            phone.status().await.contains(word)
        })
        .await;
        let level = phone
            .eval("document.querySelector('[data-light=led] .digits').innerText")
            .await;
        assert_eq!(level, number, "{locale}");
        phone.tap("#opener").await;
        until("the sheet is open", async || {
            phone.eval("!!document.querySelector('.sheet[open]')").await == true
        })
        .await;
        let text = phone
            .eval("document.querySelector('.sheet').textContent")
            .await;
        let text = text.as_str().unwrap();
        for word in ["undefined", "Presets", "Save", "Off in", "New timer"] {
            assert!(!text.contains(word), "{locale}: {word} in {text}");
        }
        // Those of the page, and those of the sheet.
        let loaded = "performance.getEntriesByType('resource').map(({ name }) => name)
            .filter((name) => name.includes('/words/')).map((name) => name.split('/').pop())";
        let file = format!("{lang}.js");
        assert_eq!(phone.eval(loaded).await, json!([file, file]));
        // Nothing is cut off or runs out of the screen.
        let wide = "[...document.querySelectorAll('.sheet *')]
            .filter((one) => one.getClientRects().length && !one.closest('.days'))
            .map((one) => [one.className || one.tagName, one.getBoundingClientRect()])
            .filter(([, box]) => box.left < -1 || box.right > innerWidth + 1)
            .map(([name]) => name)";
        assert_eq!(phone.eval(wide).await, json!([]), "{locale}");
        phone.screenshot(&format!("phone-sheet-{lang}")).await;
    }
    browser.close().await;
}

async fn arabic_is_written_from_the_right(browser: Browser) {
    let dimmer = Setup::with(TWO).start();
    let phone = browser.phone_in("ar-EG", dimmer.address.port()).await;
    assert_eq!(
        phone
            .eval("getComputedStyle(document.body).direction")
            .await,
        "rtl"
    );
    // The first light is to the right of the second.
    let place = |light: &str| {
        format!("document.querySelector('[data-light={light}]').getBoundingClientRect().left")
    };
    let order = format!("{} > {}", place("led"), place("shelf"));
    assert_eq!(phone.eval(&order).await, true);
    phone.screenshot("phone-arabic").await;
    phone.is_accessible("arabic").await;
    browser.close().await;
}

in_each_browser! {
    each_language_fills_the_page_and_only_its_own_words_are_loaded,
    arabic_is_written_from_the_right,
}
