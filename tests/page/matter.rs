//! Home apps in the sheet: the code to pair one, and what is paired.

use crate::browser::{Browser, Window};
use crate::common::{Setup, TestServer};
use crate::controller::{Controller, Maker};
use crate::lan::{Lan, with_lan};
use crate::steps::{expect, expect_text, make_tall, open_sheet, tap};
use serde_json::json;

const OPENER: &str = ".matter > .chip";
const SHOWN: &str = "!document.querySelector('.matter').hidden";

async fn open_home_apps(phone: &Window) {
    open_sheet(phone).await;
    make_tall(phone).await;
    expect("home apps are offered", SHOWN, phone).await;
    tap(OPENER, phone).await;
}

/// The page shows the code, lists the app that has used it, and removes it.
async fn an_app_is_paired_and_removed(browser: Browser, lan: &Lan) {
    let setup = Setup::with("[matter]\nenabled = true\n");
    let folder = setup.path().join("controller");
    let dimmer = setup.start();
    let phone = browser.phone(&dimmer).await;
    open_home_apps(&phone).await;
    let picture = "document.querySelector('.matter img')?.naturalWidth > 0";
    expect("the QR code is there", picture, &phone).await;
    let code = phone
        .eval("document.querySelector('.matter output').textContent")
        .await;
    phone.is_accessible("home apps").await;
    phone.screenshot("phone-sheet-matter").await;

    tap(".matter .stop", &phone).await;
    expect_text(".matter .open", "Add a home app", &phone).await;
    phone.screenshot("phone-sheet-matter-closed").await;
    tap(".matter .open", &phone).await;
    expect("the QR code is there again", picture, &phone).await;

    let mut controller = Controller::start(Maker::MatterJs, &lan.phone, &folder);
    controller.run(json!({"command": "pair", "code": code}));
    expect_text(".matter li span", Maker::MatterJs.label(), &phone).await;
    expect_text(".matter .open", "Add a home app", &phone).await;
    phone.is_accessible("paired home apps").await;
    tap(".matter .remove", &phone).await;
    expect_text(
        ".ask h2",
        "This home app will no longer control the lights:",
        &phone,
    )
    .await;
    let ready = "!document.querySelector('.ask .run').disabled";
    expect("who taps has read it", ready, &phone).await;
    tap(".ask .run", &phone).await;
    expect(
        "nothing is listed",
        "!document.querySelector('.matter li')",
        &phone,
    )
    .await;
    let refused = controller.attempt(json!({"command": "on", "endpoint": 2, "on": false}));
    assert!(refused.is_err(), "{refused:?}");
    browser.close().await;
}

#[test]
#[ignore = "needs Chromium, matter.js and network namespaces; scripts/test.sh installs what is missing and runs this"]
fn an_app_is_paired_and_removed_in_chromium() {
    with_lan(|lan| {
        let claim = async || an_app_is_paired_and_removed(Browser::chromium(), &lan).await;
        lan.kitchen.within(claim);
    });
}

#[test]
#[ignore = "needs WebKit, matter.js and network namespaces; scripts/test.sh installs what is missing and runs this"]
fn an_app_is_paired_and_removed_in_webkit() {
    with_lan(|lan| {
        let claim = async || an_app_is_paired_and_removed(Browser::webkit(), &lan).await;
        lan.kitchen.within(claim);
    });
}

#[tokio::test]
#[ignore = "needs Chromium; scripts/test.sh installs it and runs this"]
async fn a_dimmer_without_matter_offers_no_home_apps() {
    let dimmer = TestServer::start();
    let browser = Browser::chromium();
    let phone = browser.phone(&dimmer).await;
    open_sheet(&phone).await;
    assert_eq!(phone.eval(SHOWN).await, false);
    browser.close().await;
}
