//! The fuzzer's properties on its corpora and on changes of these, without the fuzzer: scripts/fuzz.sh.

#[path = "../../fuzz/properties.rs"]
mod properties;

use std::fs;

use rand::rngs::SmallRng;
use rand::{Rng, RngExt, SeedableRng};

/// How many changed inputs are tried.
const ROUNDS: usize = 20_000;

/// Tries every input of a corpus, and changed ones.
fn try_all(corpus: &str, holds: fn(&[u8])) {
    let folder = format!("{}/fuzz/corpus/{corpus}", env!("CARGO_MANIFEST_DIR"));
    let mut inputs: Vec<Vec<u8>> = fs::read_dir(folder)
        .unwrap()
        .map(|file| fs::read(file.unwrap().path()).unwrap())
        .collect();
    inputs.sort();
    assert!(inputs.len() > 5, "there is a corpus");
    inputs.iter().for_each(|input| holds(input));
    let mut random = SmallRng::seed_from_u64(21);
    for _ in 0..ROUNDS {
        let mut input = inputs[random.random_range(..inputs.len())].clone();
        let other = &inputs[random.random_range(..inputs.len())];
        for _ in 0..random.random_range(1..4) {
            change(&mut input, other, &mut random);
        }
        holds(&input);
    }
}

/// One of the changes that find most: another byte, a byte less, a piece of another input, a number.
fn change(input: &mut Vec<u8>, other: &[u8], random: &mut impl Rng) {
    let at = random.random_range(..=input.len());
    match random.random_range(0..5) {
        0 if at < input.len() => input[at] = random.random(),
        1 if at < input.len() => drop(input.remove(at)),
        2 => input.truncate(at),
        3 => {
            let start = random.random_range(..=other.len());
            let piece = other[start..]
                .iter()
                .copied()
                .take(random.random_range(..20));
            drop(input.splice(at..at, piece));
        }
        _ => {
            const NUMBERS: [&str; 8] = [
                "-1",
                "1e999",
                "101",
                "0.05",
                "18446744073709551616",
                "NaN",
                "\\u0000",
                "[[",
            ];
            let number = NUMBERS[random.random_range(..NUMBERS.len())];
            drop(input.splice(at..at, number.bytes()));
        }
    }
}

#[test]
fn any_message_of_a_client_is_parsed_or_answered_with_an_error() {
    try_all("wire", properties::wire);
}

#[test]
fn any_settings_are_lights_or_an_error_in_one_line() {
    try_all("settings", properties::settings);
}

#[test]
fn any_levels_file_is_loaded_or_reported() {
    try_all("levels", properties::levels);
}
