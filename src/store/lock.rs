//! The lock of the state folder. The kernel releases it when the process ends, however it ends.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::bail;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::platform::process::describe;

/// A lock on the folder itself, so that it needs no file of its own.
pub struct FolderLock {
    _folder: File,
}

impl FolderLock {
    /// Locks a folder. `None` if there is no such folder, or if its file system has no locks.
    ///
    /// # Errors
    /// Another process has locked it; the message says which.
    pub fn new(folder: &Path) -> anyhow::Result<Option<FolderLock>> {
        let Ok(opened) = File::open(folder) else {
            return Ok(None);
        };
        match flock(&opened, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(FolderLock { _folder: opened })),
            Err(Errno::WOULDBLOCK) => {
                let holder = holder(&opened).unwrap_or_else(|| "another process".into());
                bail!(
                    "the state folder {} is in use by {holder}: stop that, or set another folder with --state-dir",
                    folder.display()
                )
            }
            Err(_) => Ok(None),
        }
    }
}

/// Who has locked the folder, and since when it runs, if the kernel tells.
fn holder(folder: &File) -> Option<String> {
    let inode = folder.metadata().ok()?.ino();
    // 1: FLOCK  ADVISORY  WRITE 4242 08:02:131090 0 EOF
    let locks = fs::read_to_string("/proc/locks").ok()?;
    let pid = locks.lines().find_map(|line| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let (kind, pid, file) = (*fields.get(1)?, *fields.get(4)?, *fields.get(5)?);
        let is_this = kind == "FLOCK" && file.rsplit(':').next()?.parse() == Ok(inode);
        is_this.then(|| pid.parse().ok())?
    })?;
    Some(describe(pid))
}
