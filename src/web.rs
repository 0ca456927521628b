//! What the service shows to the network: the page, `/ws` and the REST API on one port.

mod api;
mod assets;
mod attempts;
mod connections;
mod crowd;
mod guard;
mod login;
mod session;
mod socket;

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router, middleware};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::config::WebConfig;
use crate::lights::Lights;
use crowd::Crowd;
use guard::Guard;
pub use login::Login;

/// What every request can reach.
#[derive(Clone)]
struct Web {
    lights: Arc<Lights>,
    pages: Arc<Crowd>,
    stop: CancellationToken,
}

/// Serves until `stop` is cancelled and every page is closed; with a login, only who passes it.
pub async fn serve(
    listener: TcpListener,
    lights: Arc<Lights>,
    config: WebConfig,
    login: Option<Login>,
    stop: CancellationToken,
) {
    let WebConfig {
        allowed_hosts,
        max_pages,
        max_pages_per_address,
        ..
    } = config;
    let web = Web {
        lights,
        pages: Crowd::new(max_pages, max_pages_per_address),
        stop: stop.clone(),
    };
    let guard = Arc::new(Guard::new(allowed_hosts));
    let mut router = Router::new()
        .route("/ws", get(socket::open))
        .merge(api::router())
        .with_state(web)
        .merge(assets::router(login.is_some()));
    if let Some(login) = login.map(Arc::new) {
        router = router
            .merge(login::router(login.clone()))
            .layer(middleware::from_fn_with_state(login, login::check));
    }
    let router = router
        .layer(middleware::from_fn(connections::in_time))
        .layer(middleware::from_fn_with_state(guard, guard::check));
    let crowd = connections::crowd(max_pages, max_pages_per_address);
    connections::serve(listener, router, crowd, stop).await;
}

/// An error as every route answers it.
fn error(status: StatusCode, message: String) -> Response {
    (status, Json(json!({"error": message}))).into_response()
}
