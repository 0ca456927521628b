//! What the service shows to the network: the page, `/ws` and the REST API on one port.

mod api;
mod assets;
mod pages;
mod socket;

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::lights::Lights;
use pages::Pages;

/// What every request can reach.
#[derive(Clone)]
struct Web {
    lights: Arc<Lights>,
    pages: Arc<Pages>,
    stop: CancellationToken,
}

/// Serves until `stop` is cancelled and every page is closed.
pub async fn serve(
    listener: TcpListener,
    lights: Arc<Lights>,
    max_pages: usize,
    stop: CancellationToken,
) {
    let web = Web {
        lights,
        pages: Arc::new(Pages::new(max_pages)),
        stop: stop.clone(),
    };
    let pages = web.pages.clone();
    let router = Router::new()
        .route("/ws", get(socket::open))
        .merge(api::router())
        .with_state(web)
        .merge(assets::router());
    // With Nagle's algorithm on, a page that also sends would wait 40 ms for others' changes.
    let listener = listener.tap_io(|stream| {
        if let Err(error) = stream.set_nodelay(true) {
            debug!("cannot switch off Nagle's algorithm: {error}");
        }
    });
    let served = axum::serve(listener, router)
        .with_graceful_shutdown(stop.cancelled_owned())
        .await;
    if let Err(error) = served {
        warn!("the web server ended: {error}");
    }
    // axum does not wait for upgraded connections.
    pages.all_closed().await;
}
