//! The programs of others that speak with the service, in pinned versions.

use std::path::PathBuf;
use std::process::Command;

/// The folder that scripts/clients.sh makes for these arguments.
pub fn folder(arguments: &[&str]) -> PathBuf {
    let printed = Command::new("scripts/clients.sh").args(arguments).output();
    let printed = printed.unwrap();
    let said = String::from_utf8_lossy(&printed.stderr);
    assert!(printed.status.success(), "scripts/clients.sh: {said}");
    String::from_utf8(printed.stdout).unwrap().trim().into()
}
