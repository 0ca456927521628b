//! The credentials that systemd passes to the service.

use std::env;
use std::path::{Path, PathBuf};

/// The file that systemd made for a line `LoadCredential=name:…` of the unit, if there is one.
pub fn credential(name: &str) -> Option<PathBuf> {
    let folder = env::var_os("CREDENTIALS_DIRECTORY").filter(|folder| !folder.is_empty())?;
    Some(Path::new(&folder).join(name)).filter(|file| file.exists())
}
