//! Keeps what rs-matter asks to keep, fabrics above all: a file for each of its keys.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use rs_matter::error::{Error, ErrorCode};
use rs_matter::persist::KvBlobStore;
use tracing::warn;

use crate::platform::file;

/// A folder with a file for each key.
pub struct Disk {
    folder: PathBuf,
}

impl Disk {
    pub fn new(folder: &Path) -> Disk {
        let folder = folder.into();
        Disk { folder }
    }

    fn path(&self, key: u16) -> PathBuf {
        self.folder.join(format!("{key:04x}.bin"))
    }
}

/// Says in the log what rs-matter's error does not.
fn logged(path: &Path, error: io::Error) -> Error {
    warn!("matter: {}: {error}", path.display());
    ErrorCode::StdIoError.into()
}

impl KvBlobStore for Disk {
    fn load<'a>(&mut self, key: u16, buffer: &'a mut [u8]) -> Result<Option<&'a [u8]>, Error> {
        let path = self.path(key);
        let contents = match fs::read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            contents => contents.map_err(|error| logged(&path, error))?,
        };
        let length = contents.len();
        let space = buffer.get_mut(..length).ok_or(ErrorCode::BufferTooSmall)?;
        space.copy_from_slice(&contents);
        Ok(Some(space))
    }

    fn store(&mut self, key: u16, data: &[u8], _: &mut [u8]) -> Result<(), Error> {
        let path = self.path(key);
        file::replace(&path, data, file::SECRET).map_err(|error| logged(&path, error))
    }

    fn remove(&mut self, key: u16, _: &mut [u8]) -> Result<(), Error> {
        let path = self.path(key);
        match file::remove(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            result => result.map_err(|error| logged(&path, error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_is_there_after_a_restart_and_what_is_removed_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let mut buffer = [0; 16];
        let mut disk = Disk::new(folder.path());
        assert!(disk.load(7, &mut buffer).unwrap().is_none());
        disk.store(7, b"fabric", &mut buffer).unwrap();
        disk.store(0x1000, b"lights", &mut buffer).unwrap();
        disk.store(7, b"newer", &mut buffer).unwrap();

        let mut disk = Disk::new(folder.path());
        let newer: Option<&[u8]> = Some(b"newer");
        assert_eq!(disk.load(7, &mut buffer).unwrap(), newer);
        disk.remove(7, &mut buffer).unwrap();
        disk.remove(7, &mut buffer).unwrap();
        assert!(disk.load(7, &mut buffer).unwrap().is_none());
        assert!(disk.load(0x1000, &mut buffer[..2]).is_err(), "too large");
    }

    #[test]
    fn a_disk_that_cannot_be_written_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let mut disk = Disk::new(&file);
        assert!(disk.store(7, b"fabric", &mut []).is_err());
    }
}
