//! What a browser that knows the password is given, so that it need not ask again: a token that says
//! when it ends, with a code that only this service can make.
//!
//! No list of them is kept. The key is made of a random secret, which stays in the state folder, so
//! that a restart ends no session; and of the password's hash, so that a new one ends them all.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::anyhow;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tracing::warn;

use crate::platform::password::Hash;

/// How long a browser is let in without asking.
pub const LIFE: Duration = Duration::from_secs(30 * 24 * 3600);

/// The random secret's file in the state folder.
const FILE: &str = "secret";

type Code = Hmac<Sha256>;

/// Makes tokens, and knows its own.
pub struct Sessions {
    key: Code,
}

impl Sessions {
    /// With the secret of the state folder, which is made if there is none.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub fn new(state_dir: &Path, hash: &Hash) -> anyhow::Result<Sessions> {
        let secret = secret(state_dir)?;
        let of_hash = code(&secret)?.chain_update(hash.line()).finalize();
        Ok(Sessions {
            key: code(&of_hash.into_bytes())?,
        })
    }

    /// A token that is good from now on for [`LIFE`].
    pub fn begin(&self, now: SystemTime) -> String {
        let end = seconds(now + LIFE).to_string();
        let code = self.code("session", end.as_bytes()).finalize().into_bytes();
        let hex: String = code.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{end}.{hex}")
    }

    /// How long a token is still good, if it is.
    pub fn left(&self, token: &str, now: SystemTime) -> Option<Duration> {
        let (end, hex) = token.split_once('.')?;
        // In constant time.
        self.code("session", end.as_bytes())
            .verify_slice(&bytes(hex)?)
            .ok()?;
        let left = end.parse::<u64>().ok()?.checked_sub(seconds(now))?;
        (left > 0).then(|| Duration::from_secs(left))
    }

    /// A short-lived stand-in for a password, which can be compared in no time.
    pub fn stand_in(&self, password: &[u8]) -> hmac::digest::CtOutput<Code> {
        self.code("password", password).finalize()
    }

    fn code(&self, what: &str, text: &[u8]) -> Code {
        self.key
            .clone()
            .chain_update(what)
            .chain_update([0])
            .chain_update(text)
    }
}

fn code(key: &[u8]) -> anyhow::Result<Code> {
    Code::new_from_slice(key).map_err(|error| anyhow!("{error}"))
}

fn seconds(time: SystemTime) -> u64 {
    // Before 1970 is a clock that was never set.
    time.duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

/// The bytes of a hexadecimal text.
fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<_>> = hex.chars().map(|digit| digit.to_digit(16)).collect();
    let byte = |pair: &[u32]| Some((pair[0] << 4 | *pair.get(1)?) as u8);
    digits?.chunks(2).map(byte).collect()
}

/// From the state folder, or new.
fn secret(state_dir: &Path) -> anyhow::Result<[u8; 32]> {
    let file = state_dir.join(FILE);
    if let Ok(kept) = fs::read(&file)
        && let Ok(secret) = kept.try_into()
    {
        return Ok(secret);
    }
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(|error| anyhow!("no random numbers: {error}"))?;
    if let Err(error) = keep(&file, &secret) {
        warn!(
            "cannot keep {}: {error}; browsers will have to log in again after a restart",
            file.display()
        );
    }
    Ok(secret)
}

/// For this user alone, and as a whole or not at all.
fn keep(file: &Path, secret: &[u8]) -> io::Result<()> {
    let new = file.with_extension("new");
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    let _ = fs::remove_file(&new);
    let mut options = OpenOptions::new();
    let mut out = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)?;
    out.write_all(secret)?;
    out.sync_all()?;
    fs::rename(new, file)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: SystemTime = UNIX_EPOCH;

    fn hash() -> Hash {
        Hash::of("correct horse").unwrap()
    }

    #[test]
    fn a_token_is_good_for_thirty_days_and_cannot_be_made_up() {
        let folder = tempfile::tempdir().unwrap();
        let sessions = Sessions::new(folder.path(), &hash()).unwrap();
        let token = sessions.begin(NOW);
        assert_eq!(sessions.left(&token, NOW), Some(LIFE));
        let last = NOW + LIFE - Duration::from_secs(1);
        assert_eq!(sessions.left(&token, last), Some(Duration::from_secs(1)));
        assert_eq!(sessions.left(&token, NOW + LIFE), None);

        let (end, code) = token.split_once('.').unwrap();
        for made_up in [
            "",
            ".",
            "2592000",
            &format!("9{end}.{code}"),
            &format!("{end}.{}", &code[2..]),
            &format!("{end}.{}", &code[1..]),
            &format!("{end}.{code}00"),
            &format!("{end}.é{}", &code[2..]),
            &format!("{end}.{}", "0".repeat(64)),
            &format!("+{token}"),
        ] {
            assert_eq!(sessions.left(made_up, NOW), None, "{made_up:?}");
        }
    }

    #[test]
    fn a_restart_ends_no_session_but_a_new_hash_or_secret_does() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (hash(), hash());
        let token = Sessions::new(folder.path(), &one).unwrap().begin(NOW);
        let left = |hash| {
            let sessions = Sessions::new(folder.path(), hash).unwrap();
            sessions.left(&token, NOW)
        };
        assert!(left(&one).is_some());
        assert_eq!(left(&other), None, "of the same password, but another hash");
        fs::write(folder.path().join(FILE), "damaged").unwrap();
        assert_eq!(left(&one), None);
    }

    #[test]
    fn nobody_else_can_read_the_secret() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        Sessions::new(&state, &hash()).unwrap();
        let mode = fs::metadata(state.join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
