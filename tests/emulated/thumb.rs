//! A thumb on the page of an emulated Raspberry Pi.

use crate::browser::Browser;
use crate::claims::{Claims, DIMMER};
use crate::common::{TestClient, until};
use crate::machine::Machine;
use crate::measure::{duty, follows, set};

/// The page that the Pi serves, in a phone's browser: the pin goes where the thumb does.
pub async fn is_followed(machine: &mut Machine, client: &mut TestClient, claims: &mut Claims) {
    const LIGHT: &str = "led";
    set(machine, client, 20.0).await;
    let browser = Browser::chromium();
    let phone = browser
        .phone_in("en-US", machine.address(DIMMER).port())
        .await;
    phone.press("[data-light=led] .track").await;
    for (slide, level) in [(40.0, 60.0), (-30.0, 30.0), (20.0, 50.0)] {
        phone.slide(slide).await;
        until("another client has the level", async || {
            client.settled().await;
            client.levels[LIGHT] == level
        })
        .await;
        let (is_followed, seen) = follows(machine, duty(level)).await;
        claims.check(
            phone.level(LIGHT).await == level && is_followed,
            format!("a thumb slides to {level} %, in Chromium, and the pin is high for {seen:.4}"),
        );
    }
    phone.release().await;
    browser.close().await;
}
