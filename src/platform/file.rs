//! Files that a power cut leaves whole.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, chown};
use std::path::{Path, PathBuf};

use tracing::info;

/// The permissions of a file that everybody may read.
pub const PUBLIC: u32 = 0o644;
/// The permissions of a file that only its owner may read.
pub const SECRET: u32 = 0o600;

/// Replaces a file so that a power cut leaves the old or the new one, with these permissions from its first byte on.
/// Its folder is created if it is missing.
///
/// # Errors
/// The file is as before, or nobody knows whether a power cut would bring back the old one.
pub fn replace(file: &Path, contents: &[u8], mode: u32) -> io::Result<()> {
    replace_for(file, contents, mode, None)
}

/// The same for a file of this group, where the user may give it away.
///
/// # Errors
/// As [`replace`].
pub fn replace_for(file: &Path, contents: &[u8], mode: u32, group: Option<u32>) -> io::Result<()> {
    let folder = folder_of(file);
    create_folder(folder)?;
    // A fixed name, so that at most one file is left by crashes.
    let next = next_to(file);
    let _ = fs::remove_file(&next);
    // A new file: what somebody else puts there, such as a link, is not written to.
    let mut options = OpenOptions::new();
    let mut new = options
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&next)?;
    new.write_all(contents)?;
    new.sync_all()?;
    if let Some(group) = group {
        // Only root and members of the group may; the owner of the file can read it all the same.
        let _ = chown(&next, None, Some(group));
    }
    fs::rename(&next, file)?;
    // The rename is durable only once the folder is synced.
    File::open(folder)?.sync_all()
}

/// Removes a file so that a power cut does not bring it back.
///
/// # Errors
/// There is no such file, or it cannot be removed.
pub fn remove(file: &Path) -> io::Result<()> {
    fs::remove_file(file)?;
    File::open(folder_of(file))?.sync_all()
}

/// Creates a folder and its parents, if they are missing. Each is durable only once its parent is synced.
///
/// # Errors
/// A folder cannot be created.
pub fn create_folder(folder: &Path) -> io::Result<()> {
    if folder.exists() {
        return Ok(());
    }
    let parent = folder_of(folder);
    create_folder(parent)?;
    // Whatever the umask: only the service's user writes there.
    DirBuilder::new().mode(0o755).create(folder)?;
    info!("created the folder {}", folder.display());
    File::open(parent)?.sync_all()
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// `levels.json.new` for `levels.json`.
fn next_to(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".new");
    name.into()
}
