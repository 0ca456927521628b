//! Session tokens: each has the time when it expires, authenticated by a code (HMAC) that only this service
//! can make, so that a browser sends the password only once.
//!
//! The service keeps no list of sessions. The key is derived from a random secret, which stays in the state
//! folder, so that a restart ends no session; and from the password's hash, so that a new hash ends all.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::anyhow;
use hmac::digest::CtOutput;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tracing::warn;

use crate::platform::password::Hash;

/// How long a session lasts.
pub const LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);

/// The file of the random secret in the state folder.
const FILE: &str = "secret";

type HmacSha256 = Hmac<Sha256>;

/// A keyed code of a password. To verify the password itself takes about a second on a slow Pi; to compare
/// fingerprints takes next to nothing, in constant time.
pub type Fingerprint = CtOutput<HmacSha256>;

/// Issues tokens, and verifies them.
pub struct Sessions {
    key: HmacSha256,
    /// The start of the service by the system clock, which NTP may have set since, and by one that nobody
    /// sets.
    start: (SystemTime, Instant),
}

impl Sessions {
    /// Sessions with the secret of the state folder, which is created if there is none.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub fn new(state_dir: &Path, hash: &Hash) -> anyhow::Result<Sessions> {
        let secret = secret(state_dir)?;
        let key = hmac(&secret)?.chain_update(hash.line()).finalize();
        Ok(Sessions {
            key: hmac(&key.into_bytes())?,
            start: (SystemTime::now(), Instant::now()),
        })
    }

    /// A token that is valid for [`LIFETIME`] from now.
    pub fn issue(&self, now: SystemTime) -> String {
        let end = seconds(now + LIFETIME).to_string();
        let code = self.hmac("session", end.as_bytes());
        let code = code.finalize().into_bytes();
        let hex: String = code.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{end}.{hex}")
    }

    /// How long a token is still valid, if it is.
    pub fn time_left(&self, token: &str, now: SystemTime) -> Option<Duration> {
        let (end, hex) = token.split_once('.')?;
        // `verify_slice` takes constant time.
        self.hmac("session", end.as_bytes())
            .verify_slice(&bytes(hex)?)
            .ok()?;
        let end: u64 = end.parse().ok()?;
        let left = |now| end.checked_sub(seconds(now)).filter(|left| *left > 0);
        // A token that was issued before the clock was set lasts as long as any other.
        let unset = self.start.0 + self.start.1.elapsed();
        let issued_unset = || left(unset).filter(|left| *left <= LIFETIME.as_secs());
        left(now).or_else(issued_unset).map(Duration::from_secs)
    }

    /// The fingerprint of a password, to be kept in memory only.
    pub fn fingerprint(&self, password: &[u8]) -> Fingerprint {
        self.hmac("password", password).finalize()
    }

    /// Authenticates a text for one purpose, so that a code for one is worthless for another.
    fn hmac(&self, purpose: &str, text: &[u8]) -> HmacSha256 {
        self.key
            .clone()
            .chain_update(purpose)
            .chain_update([0])
            .chain_update(text)
    }
}

fn hmac(key: &[u8]) -> anyhow::Result<HmacSha256> {
    HmacSha256::new_from_slice(key).map_err(|error| anyhow!("{error}"))
}

fn seconds(time: SystemTime) -> u64 {
    // A time before 1970 is that of a clock that was never set.
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

/// The secret of the state folder, or a new one.
fn secret(state_dir: &Path) -> anyhow::Result<[u8; 32]> {
    let file = state_dir.join(FILE);
    if let Ok(saved) = fs::read(&file)
        && let Ok(secret) = saved.try_into()
    {
        return Ok(secret);
    }
    let mut secret = [0; 32];
    getrandom::fill(&mut secret)
        .map_err(|error| anyhow!("the system has no random numbers: {error}"))?;
    if let Err(error) = save(&file, &secret) {
        warn!(
            "cannot save {}: {error}; browsers will have to log in again after a restart",
            file.display()
        );
    }
    Ok(secret)
}

/// Writes the file as a whole or not at all, readable only by the service's user.
fn save(file: &Path, secret: &[u8]) -> io::Result<()> {
    let new = file.with_extension("new");
    if let Some(folder) = file.parent() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(folder)?;
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
    fn a_token_is_valid_for_thirty_days_and_cannot_be_forged() {
        let folder = tempfile::tempdir().unwrap();
        let sessions = Sessions::new(folder.path(), &hash()).unwrap();
        let token = sessions.issue(NOW);
        assert_eq!(sessions.time_left(&token, NOW), Some(LIFETIME));
        let last = NOW + LIFETIME - Duration::from_secs(1);
        assert_eq!(
            sessions.time_left(&token, last),
            Some(Duration::from_secs(1))
        );
        assert_eq!(sessions.time_left(&token, NOW + LIFETIME), None);

        let (end, code) = token.split_once('.').unwrap();
        for forged in [
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
            assert_eq!(sessions.time_left(forged, NOW), None, "{forged:?}");
        }
    }

    #[test]
    fn a_token_from_before_the_clock_was_set_stays_valid_and_revives_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let mut sessions = Sessions::new(folder.path(), &hash()).unwrap();
        sessions.start.0 = NOW;
        let token = sessions.issue(NOW);
        let years = Duration::from_secs(56 * 365 * 24 * 3600);
        let expired = sessions.issue(NOW + years - 2 * LIFETIME);
        assert!(sessions.time_left(&token, NOW + years).is_some());
        assert_eq!(sessions.time_left(&expired, NOW + years), None);
        sessions.start.0 += LIFETIME;
        assert_eq!(sessions.time_left(&token, NOW + years), None, "at last");
    }

    #[test]
    fn a_restart_ends_no_session_but_a_new_hash_or_secret_does() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (hash(), hash());
        let token = Sessions::new(folder.path(), &one).unwrap().issue(NOW);
        let time_left = |hash| {
            let sessions = Sessions::new(folder.path(), hash).unwrap();
            sessions.time_left(&token, NOW)
        };
        assert!(time_left(&one).is_some());
        assert_eq!(time_left(&other), None, "another hash of the same password");
        fs::write(folder.path().join(FILE), "damaged").unwrap();
        assert_eq!(time_left(&one), None);
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
