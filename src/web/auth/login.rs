//! Password authentication: the middleware and the login page.
//!
//! A browser logs in once, and then has a cookie; a program sends the password with each request.

use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Extension, Request, State};
use axum::http::header::{
    ACCEPT_LANGUAGE, AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, COOKIE,
    LOCATION, ORIGIN, RETRY_AFTER, SET_COOKIE, WWW_AUTHENTICATE,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::sync::Semaphore;
use tokio::task;
use tokio::time::{Instant, timeout};
use tracing::warn;

use super::session::{self, Fingerprint, Sessions};
use super::throttle::Throttle;
use crate::platform::password::Hash;
use crate::protocol;
use crate::web::listener::Peer;
use crate::web::response::error;

/// The paths that need no password: the login and its styles.
const PUBLIC: [&str; 3] = ["/login", "/login.css", "/style.css"];

/// Maximum wait while the passwords of others are verified, one after the other.
const MAX_QUEUE_TIME: Duration = Duration::from_secs(5);

const PAGE: &str = include_str!("login.html");

/// The content security policy of the login page, which has no script.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; \
    base-uri 'none'; frame-ancestors 'none'";

/// Authenticates requests.
pub struct Login {
    hash: Hash,
    sessions: Sessions,
    throttle: Mutex<Throttle>,
    /// One password is verified at a time, as each takes 19 MiB.
    verifying: Arc<Semaphore>,
    /// The fingerprint of the right password, once it has been verified: most programs send it often.
    right: OnceLock<Fingerprint>,
    /// Whether the service serves TLS only.
    tls: bool,
}

/// How long the session of a request's browser still lasts; `None` for a program, which has no session.
#[derive(Clone, Copy)]
pub struct SessionTime(pub Option<Duration>);

/// Why a password is not accepted.
enum PasswordError {
    Wrong,
    /// It was not verified; it may be sent again after this time.
    Wait(Duration),
}

impl Login {
    /// Accepts the password of this hash.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub fn new(hash: Hash, state_dir: &Path, tls: bool) -> anyhow::Result<Login> {
        Ok(Login {
            sessions: Sessions::new(state_dir, &hash)?,
            hash,
            throttle: Mutex::default(),
            verifying: Arc::new(Semaphore::new(1)),
            right: OnceLock::new(),
            tls,
        })
    }

    /// How long the session of these headers' cookie still lasts, if there is one.
    fn session(&self, headers: &HeaderMap) -> Option<Duration> {
        let cookies = headers.get_all(COOKIE).iter();
        cookies
            .filter_map(|cookies| cookies.to_str().ok())
            .flat_map(|cookies| cookies.split(';'))
            .filter_map(|cookie| cookie.trim().strip_prefix("dimmer="))
            .find_map(|token| self.sessions.time_left(token, SystemTime::now()))
    }

    /// Verifies a password from this address, on a thread that serves no clients.
    async fn verify(
        self: &Arc<Login>,
        password: Vec<u8>,
        from: IpAddr,
    ) -> Result<(), PasswordError> {
        self.check_wait(from)?;
        let fingerprint = self.sessions.fingerprint(&password);
        if self.right.get() == Some(&fingerprint) {
            return Ok(());
        }
        let turn = timeout(MAX_QUEUE_TIME, self.verifying.clone().acquire_owned());
        let Ok(Ok(turn)) = turn.await else {
            return Err(PasswordError::Wait(MAX_QUEUE_TIME));
        };
        // The passwords before it may have been wrong, or the right one.
        self.check_wait(from)?;
        if self.right.get() == Some(&fingerprint) {
            return Ok(());
        }
        let login = self.clone();
        let verified = task::spawn_blocking(move || {
            // If the request is cancelled meanwhile, this goes on: it keeps its turn, and the result counts.
            let _turn = turn;
            let right = login.hash.matches(&password);
            let mut throttle = login.throttle();
            match right {
                true => throttle.record_right(from),
                false => throttle.record_wrong(from, Instant::now()),
            }
            right
        });
        // A panic goes on in the task of the connection, which is watched.
        if !verified.await.expect("the password was not verified") {
            warn!("a wrong password came from {from}");
            return Err(PasswordError::Wrong);
        }
        let _ = self.right.set(fingerprint);
        Ok(())
    }

    /// A cookie that no script can read and that no other site's requests carry; nor do unencrypted
    /// requests, if the login came by https, whether from this service or from a proxy in front of it.
    fn cookie(&self, token: &str, lifetime: Duration, headers: &HeaderMap) -> String {
        let origin = headers.get(ORIGIN).map(HeaderValue::as_bytes);
        let secure = match self.tls || origin.is_some_and(|origin| origin.starts_with(b"https://"))
        {
            true => "; Secure",
            false => "",
        };
        let lifetime = lifetime.as_secs();
        format!("dimmer={token}; Path=/; Max-Age={lifetime}; HttpOnly; SameSite=Strict{secure}")
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

/// The routes `/login` and `/logout`.
pub fn router(login: Arc<Login>) -> Router {
    Router::new()
        .route("/login", get(show_login).post(log_in))
        .route("/logout", post(log_out))
        .layer(DefaultBodyLimit::max(protocol::MAX_MESSAGE))
        .with_state(login)
}

/// Passes on an authenticated request. Others are refused with 401, or redirected to the login from `/`.
pub async fn check(
    State(login): State<Arc<Login>>,
    Extension(peer): Extension<Peer>,
    mut request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path();
    if PUBLIC.contains(&path) {
        return next.run(request).await;
    }
    let session = if let Some(left) = login.session(request.headers()) {
        SessionTime(Some(left))
    } else if let Some(password) = bearer(request.headers()) {
        match login.verify(password, peer.address()).await {
            Ok(()) => SessionTime(None),
            Err(PasswordError::Wrong) => return unauthorized("the password is wrong"),
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
    let mut response = error(StatusCode::UNAUTHORIZED, message.into());
    add_challenge(&mut response);
    response
}

/// Adds the header that RFC 9110, 15.5.2 requires in every 401.
fn add_challenge(response: &mut Response) {
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

fn redirect(path: &'static str) -> Response {
    let headers = [(LOCATION, path), (CACHE_CONTROL, "no-store")];
    (StatusCode::SEE_OTHER, headers).into_response()
}

async fn show_login(State(login): State<Arc<Login>>, headers: HeaderMap) -> Response {
    let is_logged_in = login.session(&headers).is_some();
    page(texts(&headers), "", is_logged_in).into_response()
}

async fn log_in(
    State(login): State<Arc<Login>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let password = form_urlencoded::parse(&body).find(|(name, _)| name == "password");
    let password = password.map_or_else(Vec::new, |(_, password)| password.as_bytes().to_vec());
    let texts = texts(&headers);
    match login.verify(password, peer.address()).await {
        Ok(()) => {
            let token = login.sessions.issue(SystemTime::now());
            let cookie = login.cookie(&token, session::LIFETIME, &headers);
            ([(SET_COOKIE, cookie)], redirect("/")).into_response()
        }
        Err(PasswordError::Wrong) => {
            let mut response = page(texts, texts.wrong, false);
            *response.status_mut() = StatusCode::UNAUTHORIZED;
            add_challenge(&mut response);
            response
        }
        Err(PasswordError::Wait(wait)) => {
            let seconds = whole_seconds(wait);
            let message = texts.wait.replace("{}", &seconds);
            let response = page(texts, &message, false);
            let headers = [(RETRY_AFTER, seconds)];
            (StatusCode::TOO_MANY_REQUESTS, headers, response).into_response()
        }
    }
}

async fn log_out(State(login): State<Arc<Login>>, headers: HeaderMap) -> Response {
    let cookie = login.cookie("", Duration::ZERO, &headers);
    ([(SET_COOKIE, cookie)], redirect("/login")).into_response()
}

/// The seconds to wait, rounded up, so that a client that waits as long is not told to wait again.
fn whole_seconds(wait: Duration) -> String {
    wait.as_millis().div_ceil(1000).to_string()
}

/// The texts of the login page in one language.
struct LoginTexts {
    lang: &'static str,
    password: &'static str,
    log_in: &'static str,
    log_out: &'static str,
    wrong: &'static str,
    wait: &'static str,
}

const ENGLISH: LoginTexts = LoginTexts {
    lang: "en",
    password: "Password",
    log_in: "Log in",
    log_out: "Log out",
    wrong: "That is not the password.",
    wait: "Too many attempts. Try again in {} s.",
};

const PORTUGUESE: LoginTexts = LoginTexts {
    lang: "pt-BR",
    password: "Senha",
    log_in: "Entrar",
    log_out: "Sair",
    wrong: "A senha não é essa.",
    wait: "Tentativas demais. Tente de novo em {} s.",
};

/// The texts in the first of the browser's languages that there are texts in, as on the page itself.
fn texts(headers: &HeaderMap) -> &'static LoginTexts {
    let listed = headers
        .get(ACCEPT_LANGUAGE)
        .and_then(|value| value.to_str().ok());
    let mut languages = listed.unwrap_or_default().split(',').map(|language| {
        let primary = language.split(['-', ';']).next().unwrap_or_default();
        primary.trim().to_ascii_lowercase()
    });
    match languages.find(|language| language == "en" || language == "pt") {
        Some(language) if language == "pt" => &PORTUGUESE,
        _ => &ENGLISH,
    }
}

/// The login page, with a message about the last attempt, and a button to log out if the browser is logged in.
fn page(texts: &LoginTexts, message: &str, is_logged_in: bool) -> Response {
    let text = PAGE
        .replace("{lang}", texts.lang)
        .replace("{password}", texts.password)
        .replace("{log_in}", texts.log_in)
        .replace("{log_out}", texts.log_out)
        .replace("{hidden}", if is_logged_in { "" } else { " hidden" })
        .replace("{message}", message);
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CACHE_CONTROL, "no-store"),
        (CONTENT_SECURITY_POLICY, POLICY),
    ];
    (headers, text).into_response()
}
