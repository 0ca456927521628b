//! Lights of other dimmers on the page.

use crate::broker::Broker;
use crate::browser::{Browser, in_both_browsers};
use crate::common::{Setup, TestServer, until};
use crate::steps::{CONNECTIONS, expect};
use serde_json::json;

const THEIRS: &str = r#"[data-light="attic/led"]"#;

fn dimmer(node: &str, more: &str, broker: &Broker) -> TestServer {
    Setup::with(&broker.settings_of(node, more)).start()
}

async fn the_light_of_another_dimmer_is_beside_its_own_dims_and_comes_and_goes(browser: Browser) {
    let broker = Broker::start();
    let kitchen = dimmer("kitchen", "fleet = true\n", &broker);
    let phone = browser.phone(&kitchen).await;
    expect(
        "one is alone",
        "!document.querySelector('.several')",
        &phone,
    )
    .await;
    let attic = dimmer("attic", "[[light]]\non_start = 40\n", &broker);
    let names = "[...document.querySelectorAll('h2')].map((name) => name.innerText).join()";
    let both = format!("{names} === 'All lights,led,Attic: led'");
    expect("both are shown", &both, &phone).await;
    let enabled = format!("!document.querySelector('{THEIRS} .lamp').disabled");
    expect("it can be reached", &enabled, &phone).await;
    until("its level is shown", async || {
        phone.level("attic/led").await == 40.0
    })
    .await;
    phone.screenshot("phone-fleet").await;

    phone.press(&format!("{THEIRS} .track")).await;
    phone.record("attic/led").await;
    phone.slide(30.0).await;
    attic.pin_is_at("led", 70.0).await;
    phone.release().await;
    attic
        .client()
        .await
        .change("led", json!({"level": 20}))
        .await;
    until("it follows", async || {
        phone.level("attic/led").await == 20.0
    })
    .await;
    let levels = phone.recorded().await;
    let turns = levels.windows(2).filter(|pair| pair[1] < pair[0]).count();
    assert_eq!(turns, 1, "it jumps: {levels:?}");

    // The master scales both: from 50 and 20.
    phone.press(".master .track").await;
    phone.slide(-25.0).await;
    phone.release().await;
    kitchen.pin_is_at("led", 25.0).await;
    attic.pin_is_at("led", 10.0).await;

    let setup = attic.kill();
    let disabled = format!("document.querySelector('{THEIRS} .lamp').disabled");
    expect("it is disabled", &disabled, &phone).await;
    assert_eq!(
        phone
            .eval("document.querySelectorAll('.lamp:disabled').length")
            .await,
        1
    );
    phone.screenshot("phone-fleet-offline").await;
    // Without it, the master is that of the other.
    phone.tap(".master .lamp").await;
    kitchen.pin_is_at("led", 0.0).await;
    let attic = setup.start();
    expect("it is back", &enabled, &phone).await;
    assert_eq!(attic.level("led").await, 40.0);

    // Its name in the settings is another now.
    attic.stop();
    let attic = dimmer("attic", "[[light]]\nname = \"desk\"\n", &broker);
    let both = format!("{names} === 'All lights,led,Attic: desk'");
    expect("another is there instead", &both, &phone).await;
    // The same while the page has no connection.
    let setup = kitchen.kill();
    attic.stop();
    let _attic = dimmer("attic", "[[light]]\nname = \"shelf\"\n", &broker);
    let _kitchen = setup.start();
    let both = format!("{names} === 'All lights,led,Attic: shelf'");
    expect("one more took its place", &both, &phone).await;
    browser.close_despite(&[CONNECTIONS]).await;
}

in_both_browsers! {
    the_light_of_another_dimmer_is_beside_its_own_dims_and_comes_and_goes,
}
