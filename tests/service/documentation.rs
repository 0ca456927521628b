//! What the documentation promises has a test.

use std::fs;
use std::path::Path;

/// All Rust files below this folder, one after another.
fn sources(folder: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            text += &sources(&path);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text += &fs::read_to_string(path).unwrap();
        }
    }
    text
}

#[test]
fn every_promise_in_the_documentation_has_its_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources = sources(&root.join("src")) + &sources(&root.join("tests"));
    let settings = fs::read_to_string(root.join("systemd/dimmer.toml")).unwrap();
    for document in ["docs/security.md", "docs/reliability.md"] {
        let text = fs::read_to_string(root.join(document)).unwrap();
        let word = |quoted: &&str| !quoted.contains(char::is_whitespace);
        let names: Vec<_> = text
            .split('`')
            .skip(1)
            .step_by(2)
            .filter(word)
            .filter(|word| word.matches('_').count() > 2 && !settings.contains(word))
            .collect();
        assert!(names.len() > 15, "{document}: {names:?}");
        for name in names {
            // A claim about the page takes its browser, so there is no `()`.
            let is_there = sources.contains(&format!("fn {name}("));
            assert!(is_there, "{document}: {name}");
        }
    }
}
