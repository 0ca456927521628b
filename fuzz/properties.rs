//! Properties that hold for all bytes from the network or the disk. The fuzzer and tests/service/fuzz.rs both search
//! for bytes that violate them.

// Each fuzz target uses one of the properties.
#![allow(dead_code)]

use std::str;

use dimmer::config;
use dimmer::model::command::Command;
use dimmer::protocol::request::{self, ClientMessage, Request};
use dimmer::store;

/// Maximum length of an error message in bytes, for an input of 4 KiB.
const LONGEST_ERROR: usize = 3 * 4096;

/// A frame, or the body of a PUT, is parsed or answered with a readable error; what was parsed keeps its limits.
pub fn wire(bytes: &[u8]) {
    if bytes.len() > 4096 {
        return;
    }
    if let Err(error) = request::parse_change(bytes) {
        assert_readable(&error.to_string());
    }
    if let Err(error) = request::parse_recall(bytes) {
        assert_readable(&error.to_string());
    }
    if let Err(error) = request::parse_timer(bytes) {
        assert_readable(&error.to_string());
    }
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    match ClientMessage::parse(text).request {
        Ok(Request::Echo(echo)) => assert!(echo.get().len() <= 1024),
        Ok(Request::Name(name)) => assert_length(name.as_str(), 40),
        Ok(Request::Say(remark)) => assert_length(remark.as_str(), 200),
        Ok(Request::Command(
            Command::RecallPreset { name, .. }
            | Command::ForgetPreset(name)
            | Command::CancelTimer(name),
        )) => assert_length(&name, 40),
        Ok(Request::Command(Command::SavePreset { name, .. })) => assert_length(name.as_str(), 40),
        Ok(_) => {}
        Err(error) => assert_readable(&error.to_string()),
    }
}

/// The text has 1 to `max` characters.
fn assert_length(text: &str, max: usize) {
    assert!((1..=max).contains(&text.chars().count()));
}

/// `dimmer.toml` yields 1 to 16 lights on different GPIOs, or an error of one line that begins with the file name.
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

/// `levels.json`: a state that was read is the same after it is written and read again. The same bytes as a backup are
/// accepted with notes, or refused with a readable error.
pub fn levels(bytes: &[u8]) {
    if let Ok((state, _)) = store::from_json(bytes) {
        let written = store::to_json(&state).expect("the state can be written as JSON");
        let (read, _) = store::from_json(&written).expect("the written JSON can be read");
        assert_eq!(read, state);
    }
    match store::Backup::read(bytes) {
        Ok(backup) => backup.notes.iter().for_each(|note| assert_readable(note)),
        Err(error) => assert_readable(&error.to_string()),
    }
}

/// The error fits into an answer, and is one line that is not empty.
fn assert_readable(error: &str) {
    assert!(
        !error.is_empty() && error.len() <= LONGEST_ERROR,
        "{error:?}"
    );
    assert!(!error.contains('\n'), "{error:?}");
}
