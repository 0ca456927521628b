//! The login page: its routes and texts, and the cookie of a session.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Extension, State};
use axum::http::header::{
    ACCEPT_LANGUAGE, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ORIGIN, RETRY_AFTER,
    SET_COOKIE,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use super::authenticate::{
    Authenticator, NO_MEMORY, PasswordError, add_challenge, redirect, whole_seconds,
};
use super::session;
use crate::platform::password::Hash;
use crate::protocol;
use crate::web::listener::Peer;

const PAGE: &str = include_str!("login.html");

/// The content security policy of the login page, which has no script.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; \
    base-uri 'none'; frame-ancestors 'none'";

/// The login of browsers.
#[derive(Clone)]
pub struct Login {
    authenticator: Arc<Authenticator>,
    /// Whether the service serves TLS only.
    tls: bool,
}

impl Login {
    /// Accepts the password of this hash.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub fn new(hash: Hash, state_dir: &Path, tls: bool) -> anyhow::Result<Login> {
        let authenticator = Arc::new(Authenticator::new(hash, state_dir)?);
        Ok(Login { authenticator, tls })
    }

    /// Authenticates requests with the same password.
    pub fn authenticator(&self) -> Arc<Authenticator> {
        self.authenticator.clone()
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
}

/// The routes `/login` and `/logout`.
pub fn router(login: Login) -> Router {
    Router::new()
        .route("/login", get(show_login).post(log_in))
        .route("/logout", post(log_out))
        .layer(DefaultBodyLimit::max(protocol::MAX_MESSAGE))
        .with_state(login)
}

async fn show_login(State(login): State<Login>, headers: HeaderMap) -> Response {
    let is_logged_in = login.authenticator.session(&headers).is_some();
    page(texts(&headers), "", is_logged_in).into_response()
}

async fn log_in(
    State(login): State<Login>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let password = form_urlencoded::parse(&body).find(|(name, _)| name == "password");
    let password = password.map_or_else(Vec::new, |(_, password)| password.as_bytes().to_vec());
    let texts = texts(&headers);
    match login.authenticator.verify(password, peer.address()).await {
        Ok(()) => {
            let token = login.authenticator.new_session();
            let cookie = login.cookie(&token, session::LIFETIME, &headers);
            ([(SET_COOKIE, cookie)], redirect("/")).into_response()
        }
        Err(PasswordError::Wrong) => {
            let mut response = page(texts, texts.wrong, false);
            *response.status_mut() = StatusCode::UNAUTHORIZED;
            add_challenge(&mut response);
            response
        }
        Err(PasswordError::NoMemory) => {
            let mut response = page(texts, NO_MEMORY, false);
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
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

async fn log_out(State(login): State<Login>, headers: HeaderMap) -> Response {
    login.authenticator.log_out(&headers).await;
    let cookie = login.cookie("", Duration::ZERO, &headers);
    ([(SET_COOKIE, cookie)], redirect("/login")).into_response()
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
