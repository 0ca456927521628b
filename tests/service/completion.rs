//! The completions for shells, as the package has them.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use crate::common::{Setup, TestServer, dimmer, example, need, until};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

/// The completions, in a folder.
fn completions() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let written = example("manual").arg(folder.path()).status();
    assert!(written.unwrap().success());
    folder
}

/// A light of this name beside `desk`, two presets, and a timer that has what could be taken for its end in its name.
async fn service(light: &str) -> TestServer {
    let lights = format!("[[light]]\nname = \"desk\"\n[[light]]\nname = \"{light}\"\ngpio = 20\n");
    let service = Setup::with(&lights).start();
    for preset in ["Film%20night", "Dinner"] {
        let path = format!("/api/presets/{preset}");
        assert_eq!(service.request(Method::PUT, &path, "").await.0, 200);
    }
    let timer = json!({"in": 3600, "recall": "Dinner", "name": format!("Wake  {{{light}")});
    let added = service
        .request(Method::POST, "/api/timers", &timer.to_string())
        .await;
    assert_eq!(added.0, 200);
    service
}

/// The command with the completed `dimmer` first in its PATH, which asks this service.
fn for_service<'a>(shell: &'a mut Command, service: &TestServer) -> &'a mut Command {
    let program = dimmer();
    let folder = Path::new(program.get_program()).parent().unwrap();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    shell.env("PATH", path).env("DIMMER_URL", service.url(""))
}

/// A shell on a terminal, with the completions.
struct Terminal {
    folder: TempDir,
    child: Child,
    input: ChildStdin,
    lines: usize,
}

impl Terminal {
    /// `settings` is what the shell reads first: it counts the prompts in `n`, and has the completions in `.`.
    fn start(service: &TestServer, shell: &str, settings: &str) -> Terminal {
        need("script", "bsdutils");
        let folder = completions();
        fs::write(folder.path().join(".zshrc"), settings).unwrap();
        let output = File::create(folder.path().join("output")).unwrap();
        let mut terminal = Command::new("script");
        terminal
            .args(["--quiet", "--flush", "--command", shell, "/dev/null"])
            .current_dir(&folder)
            .env("ZDOTDIR", folder.path())
            .env("TERM", "xterm")
            .stdin(Stdio::piped())
            .stdout(output);
        let mut child = for_service(&mut terminal, service).spawn().unwrap();
        let input = child.stdin.take().unwrap();
        Terminal {
            folder,
            child,
            input,
            lines: 0,
        }
    }

    fn bash(service: &TestServer) -> Terminal {
        let settings = "source dimmer.bash\nPROMPT_COMMAND='((++n))' PS1='<$n> '\n";
        Terminal::start(service, "exec bash --rcfile .zshrc -i", settings)
    }

    fn zsh(service: &TestServer) -> Terminal {
        let settings = "fpath=($PWD $fpath)\nautoload -U compinit\ncompinit -u -D\n\
            setopt prompt_subst\nprecmd() { ((++n)) }\nPS1='<$n> '\n";
        Terminal::start(service, "exec zsh --no-global-rcs -i", settings)
    }

    fn shown(&self) -> String {
        let output = fs::read(self.folder.path().join("output")).unwrap();
        String::from_utf8_lossy(&output).into()
    }

    /// Types a line at the prompt, and waits for the next prompt.
    async fn enter(&mut self, line: &str) {
        self.prompt().await;
        self.lines += 1;
        writeln!(self.input, "{line}").unwrap();
        self.prompt().await;
    }

    async fn prompt(&self) {
        let prompt = format!("<{}> ", self.lines + 1);
        until(&format!("{prompt} in {}", self.shown()), async || {
            self.shown().contains(&prompt)
        })
        .await;
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Each name is completed from its beginning by the tab key, and the command does what it says.
async fn completes_names(mut shell: Terminal, service: &TestServer, other: &TestServer) {
    shell.enter("dimmer set 30 --light s\t").await;
    let light = async |name: &str| {
        let path = format!("/api/lights/{name}");
        service.request(Method::GET, &path, "").await.1
    };
    assert_eq!(light("shelf").await["level"], 30, "{}", shell.shown());
    shell.enter("dimmer effect str\t --light=de\t").await;
    assert_eq!(light("desk").await["effect"], "strobe", "{}", shell.shown());
    shell.enter("dimmer preset recall Fi\t").await;
    assert_eq!(light("shelf").await["level"], 50, "{}", shell.shown());
    shell.enter("dimmer preset forget D\t").await;
    let presets = service.request(Method::GET, "/api/presets", "").await.1;
    assert_eq!(presets.as_array().unwrap().len(), 1, "{}", shell.shown());
    let timers = async |service: &TestServer| -> Vec<Value> {
        let timers = service.request(Method::GET, "/api/timers", "").await.1;
        timers.as_array().unwrap().clone()
    };
    shell
        .enter("dimmer timer add --in 60 --recall F\t --name W\t")
        .await;
    let only = &timers(service).await[..];
    assert_eq!(only.len(), 1, "replaced: {}", shell.shown());
    assert_eq!(only[0]["recall"], "Film night");
    shell.enter("dimmer timer cancel W\t").await;
    assert_eq!(timers(service).await, [json!(null); 0], "{}", shell.shown());

    // Of another service.
    let url = other.url("");
    let set = format!("dimmer set 7 --url={url} --light l\t");
    shell.enter(&set).await;
    assert_eq!(other.level("lamp").await, 7.0, "{}", shell.shown());
    let cancel = format!("dimmer timer --url '{url}' cancel W\t");
    shell.enter(&cancel).await;
    assert_eq!(timers(other).await, [json!(null); 0], "{}", shell.shown());
}

#[tokio::test]
#[ignore = "needs script, a terminal; scripts/test.sh installs it and runs this"]
async fn bash_completes_the_names_of_lights_effects_presets_and_timers() {
    let (service, other) = (service("shelf").await, service("lamp").await);
    completes_names(Terminal::bash(&service), &service, &other).await;
}

#[tokio::test]
#[ignore = "needs zsh; scripts/test.sh installs it and runs this"]
async fn zsh_completes_the_names_of_lights_effects_presets_and_timers() {
    need("zsh", "zsh");
    let (service, other) = (service("shelf").await, service("lamp").await);
    completes_names(Terminal::zsh(&service), &service, &other).await;
}

#[tokio::test]
#[ignore = "needs fish; scripts/test.sh installs it and runs this"]
async fn fish_completes_the_names_of_lights_effects_presets_and_timers() {
    let (folder, service, other) = (completions(), service("shelf").await, service("lamp").await);
    let complete = |line: &str| {
        let script = "source $argv[1]; complete -C $argv[2]";
        let mut shell = Command::new("fish");
        let file = folder.path().join("dimmer.fish");
        shell
            .args(["--no-config", "-c", script])
            .arg(file)
            .arg(line);
        let output = for_service(&mut shell, &service).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let words = text.lines().map(|line| line.split('\t').next().unwrap());
        words.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(complete("dimmer set --light "), ["desk", "shelf"]);
    assert_eq!(complete("dimmer timer add --recall D"), ["Dinner"]);
    let presets = complete("dimmer preset recall ");
    assert_eq!(presets, ["Dinner", "Film night"]);
    assert_eq!(complete("dimmer effect s"), ["strobe", "sunrise"]);
    let timer = "Wake  {shelf";
    assert_eq!(complete("dimmer timer cancel "), [timer]);
    assert_eq!(complete("dimmer timer add --name "), [timer]);
    let url = other.url("");
    let lights = complete(&format!("dimmer set --url={url} --light "));
    assert_eq!(lights, ["desk", "lamp"]);
    let timers = complete(&format!("dimmer timer --url '{url}' cancel "));
    assert_eq!(timers, ["Wake  {lamp"]);
}
