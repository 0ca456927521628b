//! The login page: its routes and texts, and the cookie of a session.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Extension, State};
use axum::http::header::{
    ACCEPT_LANGUAGE, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ORIGIN, RETRY_AFTER,
    SET_COOKIE,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tower_http::set_header::SetResponseHeaderLayer;

use super::authenticate::{
    Authenticator, NO_MEMORY, PasswordError, add_challenge, redirect, whole_seconds,
};
use super::session;
use crate::platform::password::Hash;
use crate::web::assets;
use crate::web::body::Body;
use crate::web::listener::Peer;

const PAGE: &str = include_str!("login.html");

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

/// The routes `/login` and `/logout`. The page has this content security policy.
pub fn router(login: Login, policy: HeaderValue) -> Router {
    let set_policy = SetResponseHeaderLayer::if_not_present(CONTENT_SECURITY_POLICY, policy);
    Router::new()
        .route("/login", get(show_login).post(log_in).layer(set_policy))
        .route("/logout", post(log_out))
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
    body: Body,
) -> Response {
    let password = form_urlencoded::parse(&body.0).find(|(name, _)| name == "password");
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
    /// The direction of writing.
    dir: &'static str,
    password: &'static str,
    show: &'static str,
    log_in: &'static str,
    log_out: &'static str,
    wrong: &'static str,
    wait: &'static str,
}

/// The languages of the page itself, the first for all others.
const TEXTS: [LoginTexts; 9] = [
    LoginTexts {
        lang: "en",
        dir: "ltr",
        password: "Password",
        show: "Show the password",
        log_in: "Log in",
        log_out: "Log out",
        wrong: "That is not the password.",
        wait: "Too many attempts. Try again in {} s.",
    },
    LoginTexts {
        lang: "ar",
        dir: "rtl",
        password: "كلمة المرور",
        show: "إظهار كلمة المرور",
        log_in: "دخول",
        log_out: "خروج",
        wrong: "ليست هذه كلمة المرور.",
        wait: "محاولات كثيرة جدًا. حاول مرة أخرى بعد {} ث.",
    },
    LoginTexts {
        lang: "de",
        dir: "ltr",
        password: "Passwort",
        show: "Passwort zeigen",
        log_in: "Anmelden",
        log_out: "Abmelden",
        wrong: "Das ist nicht das Passwort.",
        wait: "Zu viele Versuche. Versuche es in {} s noch einmal.",
    },
    LoginTexts {
        lang: "es",
        dir: "ltr",
        password: "Contraseña",
        show: "Mostrar la contraseña",
        log_in: "Entrar",
        log_out: "Salir",
        wrong: "Esa no es la contraseña.",
        wait: "Demasiados intentos. Inténtalo de nuevo en {} s.",
    },
    LoginTexts {
        lang: "fr",
        dir: "ltr",
        password: "Mot de passe",
        show: "Afficher le mot de passe",
        log_in: "Se connecter",
        log_out: "Se déconnecter",
        wrong: "Ce n’est pas le mot de passe.",
        wait: "Trop de tentatives. Réessayez dans {} s.",
    },
    LoginTexts {
        lang: "it",
        dir: "ltr",
        password: "Password",
        show: "Mostra la password",
        log_in: "Accedi",
        log_out: "Esci",
        wrong: "Non è la password.",
        wait: "Troppi tentativi. Riprova tra {} s.",
    },
    LoginTexts {
        lang: "ja",
        dir: "ltr",
        password: "パスワード",
        show: "パスワードを表示",
        log_in: "ログイン",
        log_out: "ログアウト",
        wrong: "パスワードが違います。",
        wait: "試行回数が多すぎます。{} 秒後にもう一度お試しください。",
    },
    LoginTexts {
        lang: "pt-BR",
        dir: "ltr",
        password: "Senha",
        show: "Mostrar a senha",
        log_in: "Entrar",
        log_out: "Sair",
        wrong: "A senha não é essa.",
        wait: "Tentativas demais. Tente de novo em {} s.",
    },
    LoginTexts {
        lang: "pt-PT",
        dir: "ltr",
        password: "Palavra-passe",
        show: "Mostrar a palavra-passe",
        log_in: "Entrar",
        log_out: "Sair",
        wrong: "A palavra-passe não é essa.",
        wait: "Demasiadas tentativas. Tente de novo em {} s.",
    },
];

/// The texts in the first of the browser's languages that there are texts in, as on the page itself.
fn texts(headers: &HeaderMap) -> &'static LoginTexts {
    let listed = headers
        .get(ACCEPT_LANGUAGE)
        .and_then(|value| value.to_str().ok());
    let mut languages = listed.unwrap_or_default().split(',');
    languages.find_map(texts_in).unwrap_or(&TEXTS[0])
}

/// The texts in a language as `Accept-Language` names it, such as `de-AT;q=0.8`.
fn texts_in(language: &str) -> Option<&'static LoginTexts> {
    let tag = language.split(';').next().unwrap_or_default();
    let tag = tag.trim().to_ascii_lowercase();
    let lang = match tag.split_once('-').unwrap_or((&tag, "")) {
        ("pt", "" | "br") => "pt-BR",
        ("pt", _) => "pt-PT",
        (primary, _) => primary,
    };
    TEXTS.iter().find(|texts| texts.lang == lang)
}

/// The login page, with a message about the last attempt, and a button to log out if the browser is logged in.
fn page(texts: &LoginTexts, message: &str, is_logged_in: bool) -> Response {
    let text = PAGE
        .replace("{assets}", &assets::folder())
        .replace("{lang}", texts.lang)
        .replace("{dir}", texts.dir)
        .replace("{password}", texts.password)
        .replace("{show}", texts.show)
        .replace("{log_in}", texts.log_in)
        .replace("{log_out}", texts.log_out)
        .replace("{hidden}", if is_logged_in { "" } else { " hidden" })
        .replace("{message}", message);
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CACHE_CONTROL, "no-store"),
    ];
    (headers, text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_login_speaks_the_first_language_of_the_browser_that_it_knows() {
        for (listed, lang) in [
            ("de-AT,en;q=0.5", "de"),
            ("nl, ja;q=0.8", "ja"),
            ("pt", "pt-BR"),
            ("pt-br", "pt-BR"),
            ("PT-AO", "pt-PT"),
            ("ar-EG", "ar"),
            ("nl", "en"),
            ("", "en"),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_LANGUAGE, listed.parse().unwrap());
            assert_eq!(texts(&headers).lang, lang, "{listed}");
        }
    }
}
