//! The login in a real browser.

use crate::browser::{Browser, Window, in_both_browsers};
use crate::common::{Setup, until};
use crate::steps::{CONNECTIONS, open_sheet, tap};

const BUTTON: &str = "form[action=login] > button";

async fn log_in(window: &Window, password: &str) {
    window
        .eval("document.querySelector('#password').focus()")
        .await;
    for letter in password.chars() {
        window.key(letter).await;
    }
    window.tap(BUTTON).await;
}

async fn expect_login(window: &Window) {
    until("the login is shown", async || {
        window.eval("location.pathname").await == "/login"
            && window.eval("document.readyState").await == "complete"
    })
    .await;
}

async fn a_browser_is_asked_once_and_again_when_the_password_changes(browser: Browser) {
    let dimmer = Setup::new().with_password("correct horse").start();
    let url = browser.url(dimmer.address.port());
    let phone = browser.phone_at("en-US", &url).await;
    expect_login(&phone).await;
    phone.screenshot("phone-login").await;
    let shown = "document.querySelector('#password').type";
    assert_eq!(phone.eval(shown).await, "password");
    for kind in ["text", "password"] {
        phone.tap("#show").await;
        assert_eq!(phone.eval(shown).await, kind);
    }
    log_in(&phone, "wrong").await;
    until("the page shows that the password is wrong", async || {
        let text = phone.eval("document.querySelector('#said').innerText");
        text.await == "That is not the password."
    })
    .await;
    phone.screenshot("phone-login-wrong").await;
    log_in(&phone, "correct horse").await;
    phone.is_live().await;
    assert_eq!(
        phone.eval("document.cookie").await,
        "",
        "no script reads it"
    );
    phone.reload().await;
    phone.is_live().await;

    // A restart with the same password is one like any other.
    phone.eval("window.not_reloaded = true").await;
    let dimmer = dimmer.stop().1.start();
    phone.is_live().await;
    assert_eq!(phone.eval("window.not_reloaded").await, true);
    // With another, the open page ends at the login by itself.
    let _dimmer = dimmer.stop().1.with_password("battery staple").start();
    expect_login(&phone).await;
    log_in(&phone, "battery staple").await;
    phone.is_live().await;

    open_sheet(&phone).await;
    tap(".service .out", &phone).await;
    expect_login(&phone).await;
    phone.eval("location.href = '/'").await;
    expect_login(&phone).await;

    // The browser itself complains of each answer that is an error.
    browser
        .close_despite(&[CONNECTIONS, "401 (Unauthorized)", "ERR_CONNECTION_REFUSED"])
        .await;
}

in_both_browsers! {
    a_browser_is_asked_once_and_again_when_the_password_changes,
}
