//! Backups from the sheet: the download, and a file that is restored once somebody has agreed.

use crate::browser::{Browser, Window, in_both_browsers};
use crate::common::{Setup, TestServer};
use crate::steps::{TWO, expect, expect_level, expect_text, open_sheet};
use reqwest::Method;
use serde_json::{Value, json};

const RUN: &str = ".ask .run";
const CANCEL: &str = ".ask .cancel";
const TEXT: &str = ".ask p";
/// It does not move any more, so a tap lands where it should.
const STILL: &str = "document.querySelector('.ask')?.getAnimations().length === 0";

/// Chooses a file, whose contents are those of a JavaScript expression, as somebody does who has tapped on the button
/// for that.
async fn choose(contents: &str, phone: &Window) {
    let script = format!(
        "(() => {{ const files = new DataTransfer(), input = document.querySelector('.service input'); \
         files.items.add(new File([{contents}], 'backup.json')); input.files = files.files; \
         input.dispatchEvent(new Event('change')); }})()"
    );
    phone.eval(&script).await;
    expect("it asks", "!!document.querySelector('.ask')", phone).await;
}

async fn agree(phone: &Window) {
    let enabled = format!("document.querySelector('{RUN}')?.disabled === false && {STILL}");
    expect("it can be agreed to", &enabled, phone).await;
    phone.tap(RUN).await;
}

/// Closes what there is to read.
async fn close(phone: &Window) {
    expect("it is still", STILL, phone).await;
    phone.tap(CANCEL).await;
    expect("it is closed", "!document.querySelector('.ask')", phone).await;
}

async fn backup(dimmer: &TestServer) -> Value {
    dimmer.request(Method::GET, "/api/backup", "").await.1
}

async fn a_backup_is_downloaded_and_restored_once_somebody_agrees(browser: Browser) {
    let dimmer = Setup::with(TWO).start();
    let (phone, other) = (browser.phone(&dimmer).await, browser.phone(&dimmer).await);
    dimmer.request(Method::PUT, "/api/presets/Film", "").await;
    open_sheet(&phone).await;
    let link = "document.querySelector('.service a').download === '' \
                && document.querySelector('.service a').href === new URL('api/backup', location).href";
    assert_eq!(phone.eval(link).await, true);
    phone.screenshot("phone-sheet-backup").await;
    let kept = backup(&dimmer).await;

    for light in ["led", "desk"] {
        let path = format!("/api/lights/{light}");
        dimmer.request(Method::PUT, &path, r#"{"level": 7}"#).await;
    }
    dimmer
        .request(Method::DELETE, "/api/presets/Film", "")
        .await;
    let kept = json!(kept.to_string()).to_string();
    choose(&kept, &phone).await;
    expect_text(TEXT, "backup.json", &phone).await;
    phone.is_accessible("backup").await;
    close(&phone).await;
    assert_eq!(dimmer.level("led").await, 7.0);

    choose(&kept, &phone).await;
    agree(&phone).await;
    expect_text("#toast", "Restored", &phone).await;
    expect_level(50.0, "led", &dimmer, &[&phone, &other]).await;
    expect_level(50.0, "desk", &dimmer, &[&phone, &other]).await;
    let presets = dimmer.request(Method::GET, "/api/presets", "").await.1;
    assert_eq!(presets[0]["name"], "Film");
    browser.close().await;
}

async fn what_is_wrong_with_a_backup_is_said_in_the_words_of_the_service(browser: Browser) {
    let dimmer = TestServer::start();
    let phone = browser.phone(&dimmer).await;
    open_sheet(&phone).await;
    let bright = r#"'{"version":1,"lights":{"led":{"level":142}}}'"#;
    for (file, says) in [
        (bright, "level must be from 0 to 100, not 142"),
        ("'holiday'", "not a backup of dimmer"),
        ("'x'.repeat(10 << 20)", "at most 131072 bytes"),
    ] {
        choose(file, &phone).await;
        agree(&phone).await;
        let said = format!("document.querySelector('{TEXT}')?.textContent.includes('{says}')");
        expect(says, &said, &phone).await;
        close(&phone).await;
    }
    assert_eq!(dimmer.level("led").await, 50.0);

    let newer = r#"'{"version":1,"lights":{"led":{"level":9,"hue":1},"attic":{"level":1}}}'"#;
    choose(newer, &phone).await;
    agree(&phone).await;
    for says in ["attic", "hue"] {
        let said = format!("document.querySelector('{TEXT}')?.textContent.includes('{says}')");
        expect("what has no effect is said", &said, &phone).await;
    }
    expect_level(9.0, "led", &dimmer, &[&phone]).await;
    // The browser itself complains of a refusal.
    browser.close_despite(&["/api/backup"]).await;
}

in_both_browsers! {
    a_backup_is_downloaded_and_restored_once_somebody_agrees,
    what_is_wrong_with_a_backup_is_said_in_the_words_of_the_service,
}
