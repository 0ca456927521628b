//! `scripts/apt-repository.sh`: what it makes is read by a real apt, which trusts it only as it was signed.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use crate::common::Repository;

/// A package of dimmer that holds this text.
fn package(repository: &Repository, version: &str, text: &str) -> PathBuf {
    let root = repository.path(&format!("{version} {text}"));
    fs::create_dir_all(root.join("DEBIAN")).unwrap();
    fs::write(root.join("text"), text).unwrap();
    let control = format!(
        "Package: dimmer\nVersion: {version}\nArchitecture: arm64\nMaintainer: nobody <nobody@dimmer.invalid>\n\
         Description: a test\n"
    );
    fs::write(root.join("DEBIAN/control"), control).unwrap();
    let package = repository.path(&format!("{version} {text}.deb"));
    let mut build = Command::new("dpkg-deb");
    build.args(["--build", "--root-owner-group"]);
    assert!(
        build
            .args([&root, &package])
            .output()
            .unwrap()
            .status
            .success()
    );
    package
}

/// apt of a Pi that knows this repository alone, by the file that is made for it.
fn apt(repository: &Repository, arguments: &[&str]) -> Output {
    let mut apt = repository.command("apt-get");
    let state = repository.path("apt");
    for folder in ["sources", "lists/partial", "archives/partial"] {
        fs::create_dir_all(state.join(folder)).unwrap();
    }
    fs::write(state.join("status"), "").unwrap();
    for (option, value) in [
        ("Dir::State", state.clone()),
        ("Dir::State::status", state.join("status")),
        ("Dir::Cache", state.clone()),
        ("Dir::Etc::sourcelist", "/dev/null".into()),
        ("Dir::Etc::sourceparts", state.join("sources")),
        ("APT::Architecture", "arm64".into()),
        ("APT::Architectures", "arm64".into()),
        ("APT::Sandbox::User", "root".into()),
        ("Acquire::http::Proxy", "DIRECT".into()),
        ("Acquire::Languages", "none".into()),
    ] {
        apt.arg("-o").arg(format!("{option}={}", value.display()));
    }
    apt.args(arguments).current_dir(state).output().unwrap()
}

/// Fetches the newest package, or says why not.
fn fetch(repository: &Repository) -> Result<Vec<u8>, String> {
    let update = apt(repository, &["update", "--error-on=any"]);
    if !update.status.success() {
        return Err(stderr(&update));
    }
    let download = apt(repository, &["download", "dimmer"]);
    if !download.status.success() {
        return Err(stderr(&download));
    }
    let files = fs::read_dir(repository.path("apt")).unwrap();
    let mut packages: Vec<_> = files
        .map(|file| file.unwrap().path())
        .filter(|file| file.extension().is_some_and(|extension| extension == "deb"))
        .collect();
    let package = packages.pop().unwrap();
    assert!(packages.is_empty(), "{packages:?}");
    let bytes = fs::read(&package).unwrap();
    fs::remove_file(package).unwrap();
    Ok(bytes)
}

fn install_sources(repository: &Repository) {
    let sources = repository.path("apt/sources");
    fs::create_dir_all(&sources).unwrap();
    let made = repository.file("dimmer.sources");
    fs::copy(made, sources.join("dimmer.sources")).unwrap();
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into()
}

#[test]
#[ignore = "needs apt-utils and gnupg; scripts/test.sh installs them and runs this"]
fn apt_fetches_what_the_repository_was_signed_with_and_nothing_else() {
    let repository = Repository::new("127.0.0.1");
    let first = package(&repository, "0.1.0", "first");
    let published = repository.publish("maintainer", &first);
    assert!(published.status.success(), "{}", stderr(&published));
    install_sources(&repository);
    assert!(fetch(&repository).unwrap() == fs::read(&first).unwrap());

    // cloud-init gets the same; that it does with it what it should is proven on an emulated Pi.
    let sources = fs::read_to_string(repository.file("dimmer.sources")).unwrap();
    let user_data = fs::read_to_string(repository.file("user-data")).unwrap();
    let indented: String = sources
        .lines()
        .map(|line| format!("      {line}\n"))
        .collect();
    assert!(user_data.starts_with("#cloud-config\n") && user_data.contains(&indented));

    // A release adds to it, and apt takes the newer one.
    let second = package(&repository, "0.2.0", "second");
    assert!(repository.publish("maintainer", &second).status.success());
    assert!(fetch(&repository).unwrap() == fs::read(&second).unwrap());
    let pool = repository.file("pool");
    assert!(pool.join("dimmer_0.1.0_arm64.deb").exists());

    // What was published once cannot become another thing.
    let other = package(&repository, "0.2.0", "other");
    let refused = repository.publish("maintainer", &other);
    assert!(!refused.status.success());
    assert!(stderr(&refused).contains("a new package needs a new version"));
    assert!(fetch(&repository).unwrap() == fs::read(&second).unwrap());

    // A package that the host exchanges is refused, and so is a list that another key has signed.
    fs::copy(&other, pool.join("dimmer_0.2.0_arm64.deb")).unwrap();
    let error = fetch(&repository).unwrap_err();
    assert!(
        error.contains("Hash Sum mismatch") || error.contains("unexpected size"),
        "{error}"
    );
    fs::copy(&second, pool.join("dimmer_0.2.0_arm64.deb")).unwrap();
    repository.make_key("thief");
    assert!(repository.publish("thief", &second).status.success());
    let error = fetch(&repository).unwrap_err();
    assert!(error.contains("NO_PUBKEY"), "{error}");
}

#[test]
#[ignore = "needs apt-utils and gnupg; scripts/test.sh installs them and runs this"]
fn a_repository_needs_a_key_and_packages_of_dimmer() {
    let repository = Repository::new("127.0.0.1");
    let package = package(&repository, "0.1.0", "first");
    let unknown = repository.publish("nobody", &package);
    assert!(stderr(&unknown).contains("gpg has no secret key nobody"));
    assert!(!repository.path("repository").exists());
    for (arguments, error) in [
        (&["--key"][..], "--key needs a value"),
        (&["--key", "maintainer"], "--url is needed"),
        (&["--keys", "x"], "unknown option --keys"),
        (
            &["--key", "maintainer", "--url", "ftp://x", "--output", "x"],
            "--url must begin with https:// or http://, not be ftp://x",
        ),
    ] {
        let mut script = repository.command("scripts/apt-repository.sh");
        let output = script.args(arguments).output().unwrap();
        assert!(
            !output.status.success() && stderr(&output).contains(error),
            "{arguments:?}: {}",
            stderr(&output)
        );
    }
}
