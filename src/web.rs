//! What the service shows to the network: the page, `/ws` and the REST API on one port.

mod api;
mod assets;
mod auth;
mod body;
mod limiter;
mod listener;
mod live;
mod origin;
mod response;
mod socketio;
mod state;

use std::future;
use std::sync::Arc;

use axum::extract::Request;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HOST, LOCATION};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Router, middleware};
use tokio::net::TcpListener;
use tokio::task;
use tokio_util::sync::CancellationToken;

use crate::config::WebConfig;
use crate::metrics::{self, Metrics};
use crate::model::hub::Hub;
use crate::platform::tls::Tls;
use auth::login;
pub use auth::login::Login;
use limiter::ConnectionLimiter;
use listener::Secured;
use live::fanout::Fanout;
use live::socket;
use origin::OriginCheck;
use response::error;
use state::AppState;

/// Serves until `stop` is cancelled and every page is closed; with a login, only who passes it, and
/// with TLS nothing without.
pub async fn serve(
    listener: TcpListener,
    hub: Arc<Hub>,
    metrics: Metrics,
    config: WebConfig,
    login: Option<Login>,
    tls: Option<Arc<Tls>>,
    stop: CancellationToken,
) {
    let WebConfig {
        allowed_hosts,
        max_pages,
        max_pages_per_address,
        socketio,
        ..
    } = config;
    let pages = ConnectionLimiter::new(max_pages, max_pages_per_address);
    let fanout = Fanout::new(hub.clone(), pages.clone());
    let metrics = Arc::new(metrics);
    let web = AppState {
        hub,
        metrics: metrics.clone(),
        clients: pages,
        fanout: fanout.clone(),
        stop: stop.clone(),
    };
    let guard = Arc::new(OriginCheck::new(allowed_hosts));
    let refusals = middleware::map_response(move |answer: Response| {
        if answer.status().is_client_error() {
            metrics.refused.add();
        }
        future::ready(answer)
    });
    let mut router = Router::new()
        .route("/ws", get(socket::open))
        .route("/metrics", get(show_metrics))
        .merge(Router::from(api::routes()).layer(refusals))
        .with_state(web.clone())
        .merge(assets::router(login.is_some()));
    if socketio {
        router = router.merge(socketio::router(web));
    }
    if let Some(login) = login.map(Arc::new) {
        router = router
            .merge(login::router(login.clone()))
            .layer(middleware::from_fn_with_state(login, login::check));
    }
    let router = router
        .layer(middleware::from_fn(listener::in_time))
        .layer(middleware::from_fn_with_state(guard.clone(), origin::check));
    let tls = tls.map(|tls| Secured {
        tls,
        instead: Router::new()
            .fallback(to_https)
            .layer(middleware::from_fn_with_state(guard, origin::check)),
    });
    let crowd = listener::crowd(max_pages, max_pages_per_address);
    let telling = task::spawn(async move { fanout.follow().await });
    listener::serve(listener, router, tls, crowd, stop).await;
    telling.abort();
}

async fn show_metrics(State(web): State<AppState>) -> impl IntoResponse {
    let text = web
        .metrics
        .text(&web.hub.lights, web.clients.all(), web.clients.entered());
    ([(CONTENT_TYPE, metrics::MEDIA_TYPE)], text)
}

/// Where TLS is spoken, the answer to all that comes without.
async fn to_https(request: Request) -> Response {
    // The guard has let it in, so there is a host.
    let host = request
        .headers()
        .get(HOST)
        .and_then(|host| host.to_str().ok());
    let path = request
        .uri()
        .path_and_query()
        .map_or("/", |path| path.as_str());
    let location = format!("https://{}{path}", host.unwrap_or_default());
    match *request.method() {
        Method::GET | Method::HEAD => {
            // Not for good: who takes the certificate away again is to be reached.
            let headers = [(LOCATION, location.as_str()), (CACHE_CONTROL, "no-store")];
            (StatusCode::TEMPORARY_REDIRECT, headers).into_response()
        }
        _ => error(
            StatusCode::FORBIDDEN,
            format!("this must be sent by TLS, to {location}"),
        ),
    }
}
