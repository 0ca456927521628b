//! Programs of others that a test needs. scripts/test.sh installs them; no test does.

use std::env;
use std::path::PathBuf;
use std::process::Command;

/// Fails the test if a program is missing, and says which package of Debian has it.
pub fn need(program: &str, package: &str) {
    // Debian has daemons where only root's PATH leads.
    let path = env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    let is_there = env::split_paths(&path).any(|folder| folder.join(program).is_file());
    assert!(is_there, "{program} is needed: apt install {package}");
}

/// What one of the project's scripts has fetched into the cache: its path. Fails the test if it is not there.
pub fn fetched(script: &str, arguments: &[&str]) -> PathBuf {
    let found = Command::new(script).arg("--find").args(arguments).output();
    let found = found.unwrap();
    let errors = String::from_utf8_lossy(&found.stderr);
    assert!(found.status.success(), "{errors}");
    String::from_utf8(found.stdout).unwrap().trim().into()
}

/// A command for `outer` that has the `inner` one as its last arguments, with all that `inner` changes in the
/// environment.
pub fn run_by(mut outer: Command, inner: &Command) -> Command {
    outer.arg(inner.get_program()).args(inner.get_args());
    for (variable, value) in inner.get_envs() {
        match value {
            Some(value) => outer.env(variable, value),
            None => outer.env_remove(variable),
        };
    }
    outer
}
