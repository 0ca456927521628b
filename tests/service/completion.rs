//! The completions for shells, as the package has them.

use std::process::Command;

use crate::common::{Setup, TestServer, dimmer};
use crate::examples::example;
use reqwest::Method;
use tempfile::TempDir;

/// The completions, in a folder.
fn completions() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let written = example("manual").arg(folder.path()).status();
    assert!(written.unwrap().success());
    folder
}

/// Two lights and two presets.
async fn service() -> TestServer {
    let lights = "[[light]]\nname = \"desk\"\n[[light]]\nname = \"shelf\"\ngpio = 20\n";
    let service = Setup::with(lights).start();
    for preset in ["Film%20night", "Dinner"] {
        let path = format!("/api/presets/{preset}");
        assert_eq!(service.request(Method::PUT, &path, "").await.0, 200);
    }
    service
}

/// What a shell prints. Its `dimmer` asks the service.
fn printed(shell: &mut Command, service: &TestServer) -> Vec<String> {
    let program = dimmer();
    let folder = std::path::Path::new(program.get_program())
        .parent()
        .unwrap();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let shell = shell.env("PATH", path).env("DIMMER_URL", service.url(""));
    let output = shell.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn bash_completes_the_names_of_lights_effects_and_presets() {
    let (folder, service) = (completions(), service().await);
    let complete = |words: &[&str]| {
        let script = r#"
            source "$0"
            COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
            _dimmer_with_names "$1" "${!#}" "${COMP_WORDS[COMP_CWORD - 1]}"
            printf '%s\n' "${COMPREPLY[@]}""#;
        let mut shell = Command::new("bash");
        let file = folder.path().join("dimmer.bash");
        shell.args(["--norc", "-c", script]).arg(file).arg("dimmer");
        printed(shell.args(words), &service)
    };
    assert_eq!(complete(&["set", "--light", ""]), ["desk", "shelf"]);
    assert_eq!(complete(&["get", "--light", "sh"]), ["shelf"]);
    assert_eq!(
        complete(&["preset", "recall", ""]),
        ["Dinner", "Film\\ night"]
    );
    assert_eq!(
        complete(&["preset", "forget", "Film\\ n"]),
        ["Film\\ night"]
    );
    assert_eq!(complete(&["timer", "add", "--recall", "D"]), ["Dinner"]);
    assert_eq!(complete(&["effect", "s"]), ["strobe", "sunrise"]);
    let other = complete(&["set", "--url", "http://other", "--light", ""]);
    assert!(
        !other.contains(&"desk".into()),
        "of another service: {other:?}"
    );
}

#[tokio::test]
#[ignore = "needs fish; scripts/test.sh installs it and runs this"]
async fn fish_completes_the_names_of_lights_effects_and_presets() {
    let (folder, service) = (completions(), service().await);
    let complete = |line: &str| {
        let script = "source $argv[1]; complete -C $argv[2]";
        let mut shell = Command::new("fish");
        let file = folder.path().join("dimmer.fish");
        shell
            .args(["--no-config", "-c", script])
            .arg(file)
            .arg(line);
        let lines = printed(&mut shell, &service);
        let words = lines.iter().map(|line| line.split('\t').next().unwrap());
        words.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(complete("dimmer set --light "), ["desk", "shelf"]);
    assert_eq!(complete("dimmer timer add --recall D"), ["Dinner"]);
    let presets = complete("dimmer preset recall ");
    assert_eq!(presets, ["Dinner", "Film night"]);
    assert_eq!(complete("dimmer effect s"), ["strobe", "sunrise"]);
}

#[tokio::test]
#[ignore = "needs zsh; scripts/test.sh installs it and runs this"]
async fn zsh_completes_the_names_of_lights_and_presets() {
    let (folder, service) = (completions(), service().await);
    let names = |function: &str, words: &str| {
        let script = r#"
            compdef() { }
            compadd() { shift; print -l -- "$@" }
            source $1
            words=(${=3})
            $2"#;
        let mut shell = Command::new("zsh");
        let file = folder.path().join("_dimmer");
        shell.args(["-f", "-c", script, "zsh"]).arg(file);
        printed(shell.args([function, words]), &service)
    };
    assert_eq!(names("_dimmer_lights", "set --light"), ["desk", "shelf"]);
    let presets = names("_dimmer_presets", "preset recall");
    assert_eq!(presets, ["Dinner", "Film night"]);
    assert_eq!(names("_dimmer_lights", "set --url http://other"), [""; 0]);
}
