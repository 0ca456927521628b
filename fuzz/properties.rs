//! What holds for whatever bytes come from a network or a disk. The fuzzer and tests/service/fuzz.rs both look
//! for bytes for which it does not.

#![allow(dead_code)]

use std::str;

use dimmer::config;
use dimmer::model::command::Command;
use dimmer::protocol::request::{self, ClientMessage, Request};
use dimmer::store;

/// The longest error that an answer may be, in bytes, for input of 4 KiB.
const LONGEST_ERROR: usize = 3 * 4096;

/// A frame, or the body of a PUT: it is understood, or answered with an error.
pub fn wire(bytes: &[u8]) {
    if bytes.len() > 4096 {
        return;
    }
    if let Err(error) = request::parse_change(bytes) {
        is_for_people(&error.to_string());
    }
    if let Err(error) = request::parse_recall(bytes) {
        is_for_people(&error.to_string());
    }
    if let Err(error) = request::parse_timer(bytes) {
        is_for_people(&error.to_string());
    }
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    match ClientMessage::parse(text).request {
        Ok(Request::Echo(echo)) => assert!(echo.get().len() <= 1024),
        Ok(Request::Name(name)) => is_short(name.as_str(), 40),
        Ok(Request::Say(remark)) => is_short(remark.as_str(), 200),
        Ok(Request::Command(
            Command::RecallPreset { name, .. }
            | Command::ForgetPreset(name)
            | Command::CancelTimer(name),
        )) => is_short(&name, 40),
        Ok(Request::Command(Command::SavePreset { name, .. })) => is_short(name.as_str(), 40),
        Ok(_) => {}
        Err(error) => is_for_people(&error.to_string()),
    }
}

fn is_short(text: &str, max: usize) {
    assert!((1..=max).contains(&text.chars().count()));
}

/// `dimmer.toml`: it is 1 to 16 lights on different GPIOs, or told to be wrong.
pub fn settings(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    match config::lights_in(text, "dimmer.toml") {
        Ok(lights) => {
            assert!((1..=16).contains(&lights.len()));
            for (number, light) in lights.iter().enumerate() {
                assert!(light.gpio <= 27);
                assert!(
                    lights[..number]
                        .iter()
                        .all(|other| other.gpio != light.gpio)
                );
            }
        }
        Err(error) => {
            let error = format!("{error:#}");
            assert!(error.starts_with("dimmer.toml:"), "{error}");
            assert!(!error.contains('\n'), "{error:?}");
        }
    }
}

/// `levels.json`: what is read can be kept and read again.
pub fn levels(bytes: &[u8]) {
    if let Ok(kept) = store::from_json(bytes) {
        let again = store::to_json(kept.clone()).expect("it is JSON");
        assert_eq!(store::from_json(&again).expect("as just written"), kept);
    }
}

fn is_for_people(error: &str) {
    assert!(
        !error.is_empty() && error.len() <= LONGEST_ERROR,
        "{error:?}"
    );
    assert!(!error.contains('\n'), "{error:?}");
}
