//! The examples as programs: each is started as a reader starts it.

use std::env;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{LazyLock, mpsc};
use std::thread;

use super::LIMIT;

/// The examples, built from the sources as they are now: `cargo test --test service` builds none by itself.
static BUILT: LazyLock<PathBuf> = LazyLock::new(|| {
    let mut cargo = Command::new(env!("CARGO"));
    for (variable, _) in env::vars_os() {
        // Cargo has set these for this test; ring would be rebuilt whenever they change.
        let name = variable.to_string_lossy();
        if name == "OUT_DIR"
            || name.starts_with("CARGO_PKG_")
            || name.starts_with("CARGO_MANIFEST_")
        {
            cargo.env_remove(variable);
        }
    }
    cargo.args(["build", "--quiet", "--locked", "--examples", "--profile"]);
    cargo.arg(if cfg!(debug_assertions) {
        "dev"
    } else {
        "release"
    });
    // With the features of this test, so that cargo has built most of it already.
    if cfg!(feature = "matter") {
        cargo.args(["--features", "matter"]);
    }
    assert!(cargo.status().unwrap().success());
    // The folder beside deps/, where this test is.
    let test = env::current_exe().unwrap();
    test.ancestors().nth(2).unwrap().join("examples")
});

pub fn example(name: &str) -> Command {
    Command::new(BUILT.join(name))
}

/// A running example. It is killed when dropped.
pub struct Example {
    pub child: Child,
    pub address: SocketAddr,
    /// The lines that it prints.
    printed: mpsc::Receiver<String>,
}

impl Example {
    pub fn start(name: &str) -> Example {
        Example::run(example(name).arg("127.0.0.1:0"))
    }

    pub fn run(command: &mut Command) -> Example {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, printed) = mpsc::channel();
        thread::spawn(move || {
            let mut lines = stdout.lines().map_while(Result::ok);
            lines.try_for_each(|line| sender.send(line))
        });
        let line: String = printed.recv_timeout(LIMIT).unwrap();
        let (_, address) = line.split_once("://").unwrap();
        let address = address.parse().unwrap();
        Example {
            child,
            address,
            printed,
        }
    }

    /// The next line that it prints with these words.
    pub fn line_with(&self, words: &str) -> String {
        loop {
            let line = self.printed.recv_timeout(LIMIT).unwrap();
            if line.contains(words) {
                return line;
            }
        }
    }

    pub async fn page(&self) -> String {
        let page = reqwest::get(format!("http://{}/", self.address)).await;
        page.unwrap().text().await.unwrap()
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
