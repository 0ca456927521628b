//! What the service shows to the network: the page, `/ws` and the REST API on one port.

mod api;
mod assets;
mod attempts;
mod connections;
mod crowd;
mod fanout;
mod guard;
mod line;
mod login;
mod selection;
mod session;
mod socket;
mod socketio;

use std::sync::Arc;

use axum::extract::Request;
use axum::http::header::{CACHE_CONTROL, HOST, LOCATION};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router, middleware};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task;
use tokio_util::sync::CancellationToken;

use crate::config::WebConfig;
use crate::house::House;
use crate::tls::Tls;
use connections::Secured;
use crowd::Crowd;
use fanout::Fanout;
use guard::Guard;
pub use login::Login;

/// What every request can reach.
#[derive(Clone)]
struct Web {
    house: Arc<House>,
    pages: Arc<Crowd>,
    fanout: Arc<Fanout>,
    stop: CancellationToken,
}

/// Serves until `stop` is cancelled and every page is closed; with a login, only who passes it, and
/// with TLS nothing without.
pub async fn serve(
    listener: TcpListener,
    house: Arc<House>,
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
    let pages = Crowd::new(max_pages, max_pages_per_address);
    let fanout = Fanout::new(house.clone(), pages.clone());
    let web = Web {
        house,
        pages,
        fanout: fanout.clone(),
        stop: stop.clone(),
    };
    let guard = Arc::new(Guard::new(allowed_hosts));
    let mut router = Router::new()
        .route("/ws", get(socket::open))
        .merge(api::router())
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
        .layer(middleware::from_fn(connections::in_time))
        .layer(middleware::from_fn_with_state(guard.clone(), guard::check));
    let tls = tls.map(|tls| Secured {
        tls,
        instead: Router::new()
            .fallback(to_https)
            .layer(middleware::from_fn_with_state(guard, guard::check)),
    });
    let crowd = connections::crowd(max_pages, max_pages_per_address);
    let telling = task::spawn(async move { fanout.follow().await });
    connections::serve(listener, router, tls, crowd, stop).await;
    telling.abort();
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

/// An error as every route answers it.
fn error(status: StatusCode, message: String) -> Response {
    (status, Json(json!({"error": message}))).into_response()
}
