//! What tells this dimmer from all others, and the secret to pair it: [`DeviceIdentity`].

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};

use crate::platform::file;

/// The highest passcode of Matter.
const MAX_PASSCODE: u32 = 99_999_998;
/// Passcodes that the specification forbids, besides 0, because anybody would guess them.
const FORBIDDEN: [u32; 10] = [
    11_111_111, 22_222_222, 33_333_333, 44_444_444, 55_555_555, 66_666_666, 77_777_777, 88_888_888,
    12_345_678, 87_654_321,
];
/// The highest discriminator: 12 bits.
const MAX_DISCRIMINATOR: u16 = 0xfff;

/// What is made once for this machine, at random.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceIdentity {
    /// The secret of the QR code.
    pub passcode: u32,
    /// Tells it from others that can be paired at the same time.
    pub discriminator: u16,
    /// 16 hexadecimal digits: its serial number, and its name in mDNS.
    pub id: String,
}

impl DeviceIdentity {
    /// Reads the identity from the folder, or makes and keeps one.
    ///
    /// # Errors
    /// The file cannot be read, written or used. A new one in its place would be another device for those who have
    /// the code on paper, so that is left to people.
    pub fn of(folder: &Path) -> anyhow::Result<DeviceIdentity> {
        let path = folder.join("identity.json");
        let name = path.display();
        match fs::read(&path) {
            Ok(text) => {
                let identity: DeviceIdentity = serde_json::from_slice(&text)
                    .with_context(|| format!("{name} is damaged; remove it for a new one"))?;
                identity
                    .check()
                    .with_context(|| format!("{name} is damaged; remove it for a new one"))?;
                Ok(identity)
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let identity = DeviceIdentity::random()?;
                let text = serde_json::to_vec(&identity)?;
                file::replace(&path, &text, file::SECRET)
                    .with_context(|| format!("cannot write {name}"))?;
                Ok(identity)
            }
            Err(error) => Err(error).with_context(|| format!("cannot read {name}")),
        }
    }

    fn random() -> anyhow::Result<DeviceIdentity> {
        let random = || getrandom::u64().context("the system has no random numbers");
        let passcode = loop {
            // Each is as probable as any other: 2⁶⁴ is not a multiple, but off by less than 10⁻¹¹.
            let passcode = (random()? % u64::from(MAX_PASSCODE)) as u32 + 1;
            if is_allowed(passcode) {
                break passcode;
            }
        };
        Ok(DeviceIdentity {
            passcode,
            discriminator: (random()? as u16) & MAX_DISCRIMINATOR,
            id: format!("{:016X}", random()?),
        })
    }

    fn check(&self) -> anyhow::Result<()> {
        ensure!(is_allowed(self.passcode), "passcode is not allowed");
        ensure!(
            self.discriminator <= MAX_DISCRIMINATOR,
            "discriminator must be from 0 to {MAX_DISCRIMINATOR}"
        );
        let is_hexadecimal = self.id.bytes().all(|byte| byte.is_ascii_hexdigit());
        ensure!(
            self.id.len() == 16 && is_hexadecimal,
            "id must be 16 hexadecimal digits"
        );
        Ok(())
    }
}

fn is_allowed(passcode: u32) -> bool {
    (1..=MAX_PASSCODE).contains(&passcode) && !FORBIDDEN.contains(&passcode)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn it_is_made_once_and_only_its_owner_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let first = DeviceIdentity::of(folder.path()).unwrap();
        first.check().unwrap();
        assert_eq!(DeviceIdentity::of(folder.path()).unwrap(), first);
        let file = folder.path().join("identity.json");
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let other = tempfile::tempdir().unwrap();
        assert_ne!(DeviceIdentity::of(other.path()).unwrap(), first);
    }

    #[test]
    fn a_damaged_file_is_an_error_that_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("identity.json");
        for text in [
            "",
            "{}",
            r#"{"passcode": 12345678, "discriminator": 1, "id": "0123456789ABCDEF"}"#,
            r#"{"passcode": 100000000, "discriminator": 1, "id": "0123456789ABCDEF"}"#,
            r#"{"passcode": 1234, "discriminator": 4096, "id": "0123456789ABCDEF"}"#,
            r#"{"passcode": 1234, "discriminator": 1, "id": "x.local"}"#,
        ] {
            fs::write(&file, text).unwrap();
            let error = DeviceIdentity::of(folder.path()).unwrap_err().to_string();
            assert!(error.contains("remove it for a new one"), "{text}: {error}");
            assert_eq!(fs::read_to_string(&file).unwrap(), text, "it is left alone");
        }
    }
}
