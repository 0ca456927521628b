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
mod openapi;
mod remote;
mod selection;
mod session;
mod socket;
mod socketio;

use std::future;
use std::sync::Arc;

use axum::extract::Request;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HOST, LOCATION};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router, middleware};
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::task;
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use crate::activity::{What, Who};
use crate::config::WebConfig;
use crate::house::House;
use crate::metrics::{self, Metrics};
use crate::tls::Tls;
use connections::{Peer, Secured};
use crowd::Crowd;
use fanout::Fanout;
use guard::Guard;
pub use login::Login;

/// What every request can reach.
#[derive(Clone)]
struct Web {
    house: Arc<House>,
    metrics: Arc<Metrics>,
    pages: Arc<Crowd>,
    fanout: Arc<Fanout>,
    stop: CancellationToken,
}

impl Web {
    /// Takes note of what a request to the API did.
    fn note(&self, peer: &Peer, what: What) {
        self.house.activity.note(Who::Api(peer.address()), what);
    }
}

/// Serves until `stop` is cancelled and every page is closed; with a login, only who passes it, and
/// with TLS nothing without.
pub async fn serve(
    listener: TcpListener,
    house: Arc<House>,
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
    let pages = Crowd::new(max_pages, max_pages_per_address);
    let fanout = Fanout::new(house.clone(), pages.clone());
    let metrics = Arc::new(metrics);
    let web = Web {
        house,
        metrics: metrics.clone(),
        pages,
        fanout: fanout.clone(),
        stop: stop.clone(),
    };
    let guard = Arc::new(Guard::new(allowed_hosts));
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

async fn show_metrics(State(web): State<Web>) -> impl IntoResponse {
    let text = web
        .metrics
        .text(&web.house.lights, web.pages.all(), web.pages.entered());
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

/// What every route answers where it cannot do what is asked.
#[derive(Serialize, ToSchema)]
struct Error {
    /// What is wrong, and what would be right, in one line.
    error: String,
}

fn error(status: StatusCode, error: String) -> Response {
    (status, Json(Error { error })).into_response()
}
