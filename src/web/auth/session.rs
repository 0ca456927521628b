//! Session tokens: each has the time when it expires, authenticated by a code (HMAC) that only this service
//! can make, so that a browser sends the password only once.
//!
//! The service keeps no list of sessions, but one of those that were logged out. The key is derived from a
//! random secret, which stays in the state folder, so that a restart ends no session; and from the password's
//! hash, so that a new hash ends all.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::anyhow;
use futures_util::future::{BoxFuture, pending};
use hmac::digest::CtOutput;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tracing::warn;

use crate::platform::password::Hash;

/// How long a session lasts.
pub const LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);

/// The file of the random secret in the state folder.
const FILE: &str = "secret";
/// The file of the tokens that were logged out, one a line.
const LOGGED_OUT_FILE: &str = "logged-out";
/// The most tokens in it. Only who has the password can add one.
const MAX_LOGGED_OUT: usize = 1000;

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
    /// The tokens that would be valid if their browsers had not logged out.
    logged_out: watch::Sender<BTreeSet<String>>,
    logged_out_file: PathBuf,
}

/// The end of a browser's session, by its time or by a log-out.
#[derive(Clone)]
pub struct SessionEnd(Option<Session>);

#[derive(Clone)]
struct Session {
    token: Arc<str>,
    at: Instant,
    logged_out: watch::Receiver<BTreeSet<String>>,
}

impl SessionEnd {
    /// That of a program, which has no session.
    pub const NEVER: SessionEnd = SessionEnd(None);

    /// Whether there is one, so that somebody can log out.
    pub fn exists(&self) -> bool {
        self.0.is_some()
    }

    /// Whether it is over.
    pub fn is_over(&self) -> bool {
        self.0.as_ref().is_some_and(|session| {
            session.at <= Instant::now() || session.logged_out.borrow().contains(&*session.token)
        })
    }

    /// Waits until it is over. Boxed, as most clients have none, and a box of what never ends takes no memory.
    pub fn over(self) -> BoxFuture<'static, ()> {
        let Some(mut session) = self.0 else {
            return Box::pin(pending());
        };
        Box::pin(async move {
            let is_out = |tokens: &BTreeSet<String>| tokens.contains(&*session.token);
            tokio::select! {
                () = sleep_until(session.at) => {}
                Ok(_) = session.logged_out.wait_for(is_out) => {}
            }
        })
    }
}

impl Sessions {
    /// Sessions with the secret of the state folder, which is created if there is none.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub fn new(state_dir: &Path, hash: &Hash) -> anyhow::Result<Sessions> {
        let secret = secret(state_dir)?;
        let key = hmac(&secret)?.chain_update(hash.line()).finalize();
        let logged_out_file = state_dir.join(LOGGED_OUT_FILE);
        let logged_out = fs::read_to_string(&logged_out_file).unwrap_or_default();
        let logged_out = logged_out.lines().take(MAX_LOGGED_OUT).map(Into::into);
        Ok(Sessions {
            key: hmac(&key.into_bytes())?,
            start: (SystemTime::now(), Instant::now()),
            logged_out: watch::Sender::new(logged_out.collect()),
            logged_out_file,
        })
    }

    /// A token that is valid for [`LIFETIME`] from now.
    pub fn issue(&self, now: SystemTime) -> String {
        // Two browsers that log in within a second have sessions of their own.
        let number = getrandom::u32().unwrap_or_default();
        let end = format!("{}-{number:08x}", seconds(now + LIFETIME));
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
        if self.logged_out.borrow().contains(token) {
            return None;
        }
        let end = end_of(token)?;
        let left = |now| end.checked_sub(seconds(now)).filter(|left| *left > 0);
        // A token that was issued before the clock was set lasts as long as any other.
        let unset = self.start.0 + self.start.1.elapsed();
        let issued_unset = || left(unset).filter(|left| *left <= LIFETIME.as_secs());
        left(now).or_else(issued_unset).map(Duration::from_secs)
    }

    /// The end of the session of a valid token; `None` if it is not valid.
    pub fn end(&self, token: &str, now: SystemTime) -> Option<SessionEnd> {
        let left = self.time_left(token, now)?;
        Some(SessionEnd(Some(Session {
            token: token.into(),
            at: Instant::now() + left,
            logged_out: self.logged_out.subscribe(),
        })))
    }

    /// Ends the session of a valid token, for all connections that it opened, too.
    pub fn log_out(&self, token: &str, now: SystemTime) {
        if self.time_left(token, now).is_none() {
            return;
        }
        self.logged_out.send_modify(|tokens| {
            tokens.retain(|token| end_of(token) > Some(seconds(now)));
            if tokens.len() >= MAX_LOGGED_OUT {
                tokens.pop_first();
            }
            tokens.insert(token.into());
        });
    }

    /// Saves which tokens were logged out, for the next start. Blocks while the disk does.
    pub fn save(&self) {
        let mut lines = String::new();
        for token in self.logged_out.borrow().iter() {
            lines += token;
            lines.push('\n');
        }
        let file = &self.logged_out_file;
        if let Err(error) = save(file, lines.as_bytes()) {
            warn!(
                "cannot save {}: {error}; who logged out is logged in again after a restart",
                file.display()
            );
        }
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

/// When a token expires, in seconds since 1970.
fn end_of(token: &str) -> Option<u64> {
    token.split(['-', '.']).next()?.parse().ok()
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
    match saved_secret(&file) {
        Ok(secret) => return Ok(secret),
        Err(None) => {}
        Err(Some(reason)) => warn!(
            "{} {reason}, so a new one takes its place; browsers have to log in again",
            file.display()
        ),
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

/// The secret in the file, or what is wrong with that, if there is a file.
fn saved_secret(file: &Path) -> Result<[u8; 32], Option<String>> {
    let metadata = fs::metadata(file).map_err(|_| None)?;
    let mode = metadata.permissions().mode() & 0o777;
    if !metadata.is_file() {
        return Err(Some("is not a regular file".into()));
    }
    if mode & 0o077 != 0 {
        return Err(Some(format!("can be read by others (mode {mode:04o})")));
    }
    let bytes = fs::read(file).map_err(|error| Some(format!("cannot be read ({error})")))?;
    match <[u8; 32]>::try_from(bytes) {
        // Random bytes are never all equal; a damaged file system leaves zeros.
        Ok(secret) if secret.iter().any(|byte| *byte != secret[0]) => Ok(secret),
        _ => Err(Some("is damaged".into())),
    }
}

/// Writes the file as a whole or not at all, readable only by the service's user.
fn save(file: &Path, contents: &[u8]) -> io::Result<()> {
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
    out.write_all(contents)?;
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
    fn a_secret_that_others_may_know_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(FILE);
        let good = secret(folder.path()).unwrap();
        assert_eq!(secret(folder.path()).unwrap(), good);
        for (contents, mode) in [
            (&[0; 32][..], 0o600),
            (&[0xff; 32], 0o600),
            (b"short", 0o600),
            (&good, 0o644),
            (&good, 0o640),
        ] {
            fs::write(&file, contents).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            let new = secret(folder.path()).unwrap();
            assert_ne!(&new[..], contents, "{mode:o}");
            assert_eq!(secret(folder.path()).unwrap(), new, "it is kept");
        }
    }

    #[tokio::test]
    async fn a_log_out_ends_one_session_for_good() {
        let folder = tempfile::tempdir().unwrap();
        let hash = hash();
        let sessions = Sessions::new(folder.path(), &hash).unwrap();
        let (one, other) = (sessions.issue(NOW), sessions.issue(NOW));
        assert_ne!(one, other);
        let (end, stays) = (sessions.end(&one, NOW).unwrap(), sessions.end(&other, NOW));
        assert!(!end.is_over());
        sessions.log_out(&one, NOW);
        sessions.log_out("1-0.00", NOW);
        assert!(end.is_over());
        end.over().await;
        assert!(!stays.unwrap().is_over());
        sessions.save();
        let again = Sessions::new(folder.path(), &hash).unwrap();
        for sessions in [sessions, again] {
            assert!(sessions.end(&one, NOW).is_none());
            assert!(sessions.end(&other, NOW).is_some());
            assert_eq!(sessions.logged_out.borrow().len(), 1);
        }
    }

    #[test]
    fn nobody_else_can_read_the_secret() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        Sessions::new(&state, &hash()).unwrap();
        let mode = fs::metadata(state.join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
