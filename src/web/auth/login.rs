//! Where a password is set, lets in who knows it, and shows all others the login alone.
//!
//! A browser is asked once, and then has a cookie; a program sends the password with each request.

use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
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
use hmac::Hmac;
use hmac::digest::CtOutput;
use sha2::Sha256;
use tokio::sync::Semaphore;
use tokio::task;
use tokio::time::{Instant, timeout};
use tracing::warn;

use super::session::{self, Sessions};
use super::throttle::Throttle;
use crate::platform::password::Hash;
use crate::protocol;
use crate::web::listener::Peer;
use crate::web::response::error;

/// All that is answered without the password.
const PUBLIC: [&str; 3] = ["/login", "/login.css", "/style.css"];

/// Longest wait for the passwords of others to be verified, one after the other.
const QUEUE: Duration = Duration::from_secs(5);

const PAGE: &str = include_str!("login.html");

/// What the login may load and do: it has no script.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; \
    base-uri 'none'; frame-ancestors 'none'";

/// Knows who is let in.
pub struct Login {
    hash: Hash,
    sessions: Sessions,
    attempts: Mutex<Throttle>,
    /// One password is verified at a time, as each takes 19 MiB.
    verifying: Arc<Semaphore>,
    /// Stands in for the right password once a program has sent it, as most send it often.
    right: OnceLock<CtOutput<Hmac<Sha256>>>,
    /// Whether all that is let in comes by TLS.
    tls: bool,
}

/// How long the browser of this request is still let in; for a program there is no end.
#[derive(Clone, Copy)]
pub struct Left(pub Option<Duration>);

/// Why a password does not let in.
enum Refusal {
    Wrong,
    /// It was not even looked at: it may be sent again after this time.
    Wait(Duration),
}

impl Login {
    /// Lets in who knows the password of this hash.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub fn new(hash: Hash, state_dir: &Path, tls: bool) -> anyhow::Result<Login> {
        Ok(Login {
            sessions: Sessions::new(state_dir, &hash)?,
            hash,
            attempts: Mutex::default(),
            verifying: Arc::new(Semaphore::new(1)),
            right: OnceLock::new(),
            tls,
        })
    }

    /// What is left of the session that a cookie of this request belongs to.
    fn session(&self, headers: &HeaderMap) -> Option<Duration> {
        let cookies = headers.get_all(COOKIE).iter();
        cookies
            .filter_map(|cookies| cookies.to_str().ok())
            .flat_map(|cookies| cookies.split(';'))
            .filter_map(|cookie| cookie.trim().strip_prefix("dimmer="))
            .find_map(|token| self.sessions.left(token, SystemTime::now()))
    }

    /// Verifies a password that came from this address, off the thread that serves the pages.
    async fn verify(self: &Arc<Login>, password: Vec<u8>, from: IpAddr) -> Result<(), Refusal> {
        self.heard(from)?;
        let stand_in = self.sessions.stand_in(&password);
        if self.right.get() == Some(&stand_in) {
            return Ok(());
        }
        let turn = timeout(QUEUE, self.verifying.clone().acquire_owned());
        let Ok(Ok(turn)) = turn.await else {
            return Err(Refusal::Wait(QUEUE));
        };
        // Those before it may have been wrong.
        self.heard(from)?;
        if self.right.get() == Some(&stand_in) {
            return Ok(());
        }
        let login = self.clone();
        let verified = task::spawn_blocking(move || {
            // Until the end, also if the request is given up meanwhile: so is what came of it.
            let _turn = turn;
            let right = login.hash.matches(&password);
            let mut attempts = login
                .attempts
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            match right {
                true => attempts.right(from),
                false => attempts.wrong(from, Instant::now()),
            }
            right
        });
        if !verified.await.unwrap_or(false) {
            warn!("a wrong password came from {from}");
            return Err(Refusal::Wrong);
        }
        let _ = self.right.set(stand_in);
        Ok(())
    }

    /// No script can read it, no other site's requests carry it, and no unencrypted one does where the
    /// login came by https, be it a proxy's.
    fn cookie(&self, token: &str, life: Duration, headers: &HeaderMap) -> String {
        let origin = headers.get(ORIGIN).map(HeaderValue::as_bytes);
        let secure = match self.tls || origin.is_some_and(|origin| origin.starts_with(b"https://"))
        {
            true => "; Secure",
            false => "",
        };
        let life = life.as_secs();
        format!("dimmer={token}; Path=/; Max-Age={life}; HttpOnly; SameSite=Strict{secure}")
    }

    /// Whether passwords from this address are heard now.
    fn heard(&self, from: IpAddr) -> Result<(), Refusal> {
        let attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        match attempts.wait(from, Instant::now()) {
            None => Ok(()),
            Some(wait) => Err(Refusal::Wait(wait)),
        }
    }
}

/// The login and its end.
pub fn router(login: Arc<Login>) -> Router {
    Router::new()
        .route("/login", get(show).post(enter))
        .route("/logout", post(leave))
        .layer(DefaultBodyLimit::max(protocol::MAX_MESSAGE))
        .with_state(login)
}

/// Lets a request in, or answers it with 401, and for the page with the way to the login.
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
    let left = if let Some(left) = login.session(request.headers()) {
        Left(Some(left))
    } else if let Some(password) = bearer(request.headers()) {
        match login.verify(password, peer.address()).await {
            Ok(()) => Left(None),
            Err(Refusal::Wrong) => return unauthorized("the password is wrong"),
            Err(Refusal::Wait(wait)) => {
                let seconds = whole_seconds(wait);
                let message = format!("too many passwords; send it again in {seconds} s");
                let answer = error(StatusCode::TOO_MANY_REQUESTS, message);
                return ([(RETRY_AFTER, seconds)], answer).into_response();
            }
        }
    } else if path == "/" {
        return to("/login");
    } else {
        return unauthorized(
            "a password is needed: log in at /login, or send it as Authorization: Bearer",
        );
    };
    request.extensions_mut().insert(left);
    next.run(request).await
}

fn unauthorized(message: &str) -> Response {
    let mut answer = error(StatusCode::UNAUTHORIZED, message.into());
    ask(&mut answer);
    answer
}

/// RFC 9110, 15.5.2 wants this in every 401.
fn ask(answer: &mut Response) {
    let bearer = HeaderValue::from_static("Bearer");
    answer.headers_mut().insert(WWW_AUTHENTICATE, bearer);
}

fn bearer(headers: &HeaderMap) -> Option<Vec<u8>> {
    let value = headers.get(AUTHORIZATION)?.as_bytes();
    let (scheme, password) = value.split_at_checked(7)?;
    scheme
        .eq_ignore_ascii_case(b"bearer ")
        .then(|| password.to_vec())
}

fn to(path: &'static str) -> Response {
    let headers = [(LOCATION, path), (CACHE_CONTROL, "no-store")];
    (StatusCode::SEE_OTHER, headers).into_response()
}

async fn show(State(login): State<Arc<Login>>, headers: HeaderMap) -> Response {
    let inside = login.session(&headers).is_some();
    page(words(&headers), "", inside).into_response()
}

async fn enter(
    State(login): State<Arc<Login>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let password = form_urlencoded::parse(&body).find(|(name, _)| name == "password");
    let password = password.map_or_else(Vec::new, |(_, password)| password.as_bytes().to_vec());
    let words = words(&headers);
    match login.verify(password, peer.address()).await {
        Ok(()) => {
            let token = login.sessions.begin(SystemTime::now());
            let cookie = login.cookie(&token, session::LIFE, &headers);
            ([(SET_COOKIE, cookie)], to("/")).into_response()
        }
        Err(Refusal::Wrong) => {
            let mut answer = page(words, words.wrong, false);
            *answer.status_mut() = StatusCode::UNAUTHORIZED;
            ask(&mut answer);
            answer
        }
        Err(Refusal::Wait(wait)) => {
            let seconds = whole_seconds(wait);
            let said = words.wait.replace("{}", &seconds);
            let answer = page(words, &said, false);
            let headers = [(RETRY_AFTER, seconds)];
            (StatusCode::TOO_MANY_REQUESTS, headers, answer).into_response()
        }
    }
}

async fn leave(State(login): State<Arc<Login>>, headers: HeaderMap) -> Response {
    let cookie = login.cookie("", Duration::ZERO, &headers);
    ([(SET_COOKIE, cookie)], to("/login")).into_response()
}

/// Rounded up, so that who waits that long is heard.
fn whole_seconds(wait: Duration) -> String {
    wait.as_millis().div_ceil(1000).to_string()
}

/// The login as a language says it.
struct Words {
    lang: &'static str,
    password: &'static str,
    enter: &'static str,
    leave: &'static str,
    wrong: &'static str,
    wait: &'static str,
}

const ENGLISH: Words = Words {
    lang: "en",
    password: "Password",
    enter: "Log in",
    leave: "Log out",
    wrong: "That is not the password.",
    wait: "Too many attempts. Try again in {} s.",
};

const PORTUGUESE: Words = Words {
    lang: "pt-BR",
    password: "Senha",
    enter: "Entrar",
    leave: "Sair",
    wrong: "A senha não é essa.",
    wait: "Tentativas demais. Tente de novo em {} s.",
};

/// Of the first language that the browser lists and the page speaks, as the page itself does.
fn words(headers: &HeaderMap) -> &'static Words {
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

/// The login, with what was wrong with the last attempt; who is in can also leave.
fn page(words: &Words, said: &str, inside: bool) -> Response {
    let text = PAGE
        .replace("{lang}", words.lang)
        .replace("{password}", words.password)
        .replace("{enter}", words.enter)
        .replace("{leave}", words.leave)
        .replace("{in}", if inside { "" } else { " hidden" })
        .replace("{said}", said);
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CACHE_CONTROL, "no-store"),
        (CONTENT_SECURITY_POLICY, POLICY),
    ];
    (headers, text).into_response()
}
