//! Authenticates requests, by the session cookie or by the password.
//!
//! A browser logs in once, and then has a cookie; a program sends the password with each request.

use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use axum::extract::{Extension, Request, State};
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, COOKIE, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::task;
use tokio::time::{Instant, timeout};
use tracing::warn;

use super::session::{Fingerprint, SessionEnd, Sessions};
use super::throttle::Throttle;
use super::turns::Turns;
use crate::platform::host::is_on_link;
use crate::platform::password::Hash;
use crate::protocol::resource::RefusalCode;
use crate::web::assets;
use crate::web::listener::Peer;
use crate::web::response::{error, refusal};

/// Why a password cannot be verified.
pub const NO_MEMORY: &str = "not enough memory to verify a password; try again later";

/// Maximum wait while the passwords of others are verified, one after the other.
const MAX_QUEUE_TIME: Duration = Duration::from_secs(5);

/// Authenticates requests.
pub struct Authenticator {
    hash: Hash,
    sessions: Sessions,
    throttle: Mutex<Throttle>,
    turns: Arc<Turns>,
    /// The fingerprint of the right password, once it has been verified: most programs send it often.
    right: OnceLock<Fingerprint>,
}

/// Why a password is not accepted.
pub enum PasswordError {
    /// It is not the password.
    Wrong,
    /// It was not verified; it may be sent again after this time.
    Wait(Duration),
    /// It was not verified, as there is not enough memory for that.
    NoMemory,
}

impl Authenticator {
    /// Accepts the password of this hash.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub fn new(hash: Hash, state_dir: &Path) -> anyhow::Result<Authenticator> {
        Ok(Authenticator {
            sessions: Sessions::new(state_dir, &hash)?,
            hash,
            throttle: Mutex::new(Throttle::new(is_on_link)),
            turns: Arc::default(),
            right: OnceLock::new(),
        })
    }

    /// The token of a session that begins now.
    pub fn new_session(&self) -> String {
        self.sessions.issue(SystemTime::now())
    }

    /// The end of the session of these headers' cookie, if there is one.
    pub fn session(&self, headers: &HeaderMap) -> Option<SessionEnd> {
        tokens(headers).find_map(|token| self.sessions.end(token, SystemTime::now()))
    }

    /// Ends the session of these headers' cookie, and all connections that it opened.
    pub async fn log_out(self: &Arc<Authenticator>, headers: &HeaderMap) {
        for token in tokens(headers) {
            self.sessions.log_out(token, SystemTime::now());
        }
        let authenticator = self.clone();
        // Waits for the disk; that it fails is logged.
        let _ = task::spawn_blocking(move || authenticator.sessions.save()).await;
    }

    /// Verifies a password from this address, on a thread that serves no clients.
    ///
    /// # Errors
    /// The password is wrong, or was not verified.
    pub async fn verify(
        self: &Arc<Authenticator>,
        password: Vec<u8>,
        from: IpAddr,
    ) -> Result<(), PasswordError> {
        let fingerprint = self.sessions.fingerprint(&password);
        if self.is_known(&fingerprint, from) {
            return Ok(());
        }
        self.check_wait(from)?;
        let wrong = self.throttle().wrong(from);
        let Ok(turn) = timeout(MAX_QUEUE_TIME, self.turns.wait(from, wrong)).await else {
            return Err(PasswordError::Wait(MAX_QUEUE_TIME));
        };
        // The passwords before it may have been the right one, or wrong.
        if self.is_known(&fingerprint, from) {
            return Ok(());
        }
        self.check_wait(from)?;
        let authenticator = self.clone();
        let verified = task::spawn_blocking(move || {
            // If the request is cancelled meanwhile, this goes on: it keeps its turn, and the result counts.
            let _turn = turn;
            let right = authenticator.hash.matches(&password);
            let mut throttle = authenticator.throttle();
            match right {
                Some(true) => throttle.record_right(from),
                Some(false) => throttle.record_wrong(from, Instant::now()),
                None => {}
            }
            right
        });
        // A panic goes on in the task of the connection, which is watched.
        match verified.await.expect("the password was not verified") {
            Some(true) => {
                let _ = self.right.set(fingerprint);
                Ok(())
            }
            Some(false) => {
                warn!("a wrong password came from {from}");
                Err(PasswordError::Wrong)
            }
            None => {
                warn!("a password from {from} cannot be verified: {NO_MEMORY}");
                Err(PasswordError::NoMemory)
            }
        }
    }

    /// Whether this is the password that has been verified before: who brings it does not wait, although
    /// others at the same address may have guessed.
    fn is_known(&self, fingerprint: &Fingerprint, from: IpAddr) -> bool {
        self.right.get().is_some_and(|right| {
            self.throttle().may_compare(from, Instant::now()) && right == fingerprint
        })
    }

    /// Fails while this address has to wait after wrong passwords.
    fn check_wait(&self, from: IpAddr) -> Result<(), PasswordError> {
        match self.throttle().wait(from, Instant::now()) {
            None => Ok(()),
            Some(wait) => Err(PasswordError::Wait(wait)),
        }
    }

    fn throttle(&self) -> MutexGuard<'_, Throttle> {
        self.throttle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The tokens in the cookies of these headers.
fn tokens(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let cookies = headers.get_all(COOKIE).iter();
    cookies
        .filter_map(|cookies| cookies.to_str().ok())
        .flat_map(|cookies| cookies.split(';'))
        .filter_map(|cookie| cookie.trim().strip_prefix("dimmer="))
}

/// Passes on an authenticated request. Others are refused with 401, or redirected to the login from `/`.
pub async fn check(
    State(authenticator): State<Arc<Authenticator>>,
    Extension(peer): Extension<Peer>,
    mut request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path();
    // The login and its styles need no password.
    if path == "/login" || assets::is_public(path) {
        return next.run(request).await;
    }
    let session = if let Some(end) = authenticator.session(request.headers()) {
        end
    } else if let Some(password) = bearer(request.headers()) {
        match authenticator.verify(password, peer.address()).await {
            Ok(()) => SessionEnd::NEVER,
            Err(PasswordError::Wrong) => return unauthorized("the password is wrong"),
            Err(PasswordError::NoMemory) => {
                return error(StatusCode::SERVICE_UNAVAILABLE, NO_MEMORY.into());
            }
            Err(PasswordError::Wait(wait)) => {
                let seconds = whole_seconds(wait);
                let message = format!("too many attempts; try again in {seconds} s");
                let response = error(StatusCode::TOO_MANY_REQUESTS, message);
                return ([(RETRY_AFTER, seconds)], response).into_response();
            }
        }
    } else if path == "/" {
        return redirect("/login");
    } else {
        return unauthorized(
            "a password is needed: log in at /login, or send it as Authorization: Bearer",
        );
    };
    request.extensions_mut().insert(session);
    next.run(request).await
}

fn unauthorized(message: &str) -> Response {
    let mut response = refusal(
        StatusCode::UNAUTHORIZED,
        RefusalCode::Password,
        message.into(),
    );
    add_challenge(&mut response);
    response
}

/// Adds the header that RFC 9110, 15.5.2 requires in every 401.
pub fn add_challenge(response: &mut Response) {
    let bearer = HeaderValue::from_static("Bearer");
    response.headers_mut().insert(WWW_AUTHENTICATE, bearer);
}

/// The password in the header `Authorization: Bearer`.
fn bearer(headers: &HeaderMap) -> Option<Vec<u8>> {
    let value = headers.get(AUTHORIZATION)?.as_bytes();
    let (scheme, password) = value.split_at_checked(7)?;
    scheme
        .eq_ignore_ascii_case(b"bearer ")
        .then(|| password.to_vec())
}

/// Leads a browser to another path.
pub fn redirect(path: &'static str) -> Response {
    let headers = [(LOCATION, path), (CACHE_CONTROL, "no-store")];
    (StatusCode::SEE_OTHER, headers).into_response()
}

/// The seconds to wait, rounded up, so that a client that waits as long does not have to wait again.
pub fn whole_seconds(wait: Duration) -> String {
    wait.as_millis().div_ceil(1000).to_string()
}
