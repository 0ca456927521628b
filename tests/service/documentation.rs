//! What the documentation promises has a test.

use std::fs;
use std::path::{Path, PathBuf};

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

/// Each relative link in a document: the file, and the heading in it if there is one.
fn links(text: &str) -> Vec<(&str, Option<&str>)> {
    let starts = text.split("](").skip(1);
    let targets = starts.map(|rest| rest.split(')').next().unwrap());
    let is_relative = |target: &&str| !target.contains("://");
    targets
        .filter(is_relative)
        .map(|target| match target.split_once('#') {
            Some((file, heading)) => (file, Some(heading)),
            None => (target, None),
        })
        .collect()
}

/// What a link to each heading of a document ends with.
fn headings(text: &str) -> Vec<String> {
    let lines = text.lines().filter(|line| line.starts_with('#'));
    lines
        .map(|line| {
            let title = line.trim_start_matches('#').trim().to_lowercase();
            let kept = |letter: &char| letter.is_alphanumeric() || " -_".contains(*letter);
            title.chars().filter(kept).collect::<String>()
        })
        .map(|title| title.replace(' ', "-"))
        .collect()
}

/// Fails unless each link of a document leads to a file that `find` finds, and to a heading in it. Returns their number.
fn check_links(document: &Path, find: impl Fn(&str) -> Option<PathBuf>) -> usize {
    let text = fs::read_to_string(document).unwrap();
    let links = links(&text);
    for (file, heading) in &links {
        let target = match *file {
            "" => Some(document.to_path_buf()),
            file => find(file),
        };
        let target = target.unwrap_or_else(|| panic!("{}: {file}", document.display()));
        if let Some(heading) = heading {
            let there = headings(&fs::read_to_string(&target).unwrap());
            let found = there.iter().any(|title| title == heading);
            assert!(found, "{}: {file}#{heading}", document.display());
        }
    }
    links.len()
}

fn is_document(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "md")
}

#[test]
fn every_link_in_the_documentation_leads_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut links = 0;
    for folder in [root.to_path_buf(), root.join("docs")] {
        let find = |file: &str| Some(folder.join(file)).filter(|path| path.exists());
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if is_document(&path) {
                links += check_links(&path, find);
            }
        }
    }
    assert!(links > 50);
}

#[test]
fn every_link_in_the_documents_of_the_package_leads_to_another_of_them() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest = fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let manifest: toml::Table = manifest.parse().unwrap();
    let assets = &manifest["package"]["metadata"]["deb"]["assets"];
    let assets = assets.as_array().unwrap().iter();
    let shipped: Vec<_> = assets
        .filter(|asset| asset[1].as_str() == Some("usr/share/doc/dimmer/"))
        .map(|asset| root.join(asset[0].as_str().unwrap()))
        .collect();
    // All in one folder, whatever folders they come from.
    let find = |name: &str| {
        let is_it = |path: &&PathBuf| path.file_name().is_some_and(|file| file == name);
        shipped.iter().find(is_it).cloned()
    };
    let documents = shipped.iter().filter(|path| is_document(path));
    let links: usize = documents.map(|document| check_links(document, find)).sum();
    assert!(links > 10);
}
