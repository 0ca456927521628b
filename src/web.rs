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
use tokio_util::sync::CancellationToken;

use crate::config::WebConfig;
use crate::metrics::{self, Metrics};
use crate::model::hub::Hub;
use crate::platform::supervisor::Supervisor;
use auth::login;
pub use auth::login::Login;
use limiter::ConnectionLimiter;
use listener::Secured;
use live::client_view::Sources;
use live::fanout::Fanout;
use live::socket;
use origin::OriginCheck;
use response::error;
use state::AppState;

/// The network front: its routes, and what they share.
pub struct Server {
    app: AppState,
    config: WebConfig,
    login: Option<Login>,
    supervisor: Supervisor,
}

impl Server {
    /// With a login, only those who pass it are let in.
    pub fn new(
        hub: Arc<Hub>,
        metrics: Metrics,
        config: WebConfig,
        login: Option<Login>,
        supervisor: Supervisor,
        stop: CancellationToken,
    ) -> Server {
        let clients = ConnectionLimiter::new(config.max_pages, config.max_pages_per_address);
        let fanout = Fanout::new(Sources {
            hub: hub.clone(),
            clients: clients.clone(),
        });
        let app = AppState {
            hub,
            metrics: Arc::new(metrics),
            clients,
            fanout,
            supervisor: supervisor.clone(),
            stop,
        };
        Server {
            app,
            config,
            login,
            supervisor,
        }
    }

    /// What sends the clients their updates, once it runs.
    pub fn fanout(&self) -> Arc<Fanout> {
        self.app.fanout.clone()
    }

    /// Serves until the service stops and every connection is closed. With a certificate, nothing is
    /// served without TLS.
    pub async fn serve(self, listener: TcpListener) {
        let Server {
            app,
            config,
            login,
            supervisor,
        } = self;
        let origins = Arc::new(OriginCheck::new(config.allowed_hosts));
        let router = router(&app, config.socketio, login, origins.clone());
        let secured = config.tls.map(|tls| Secured {
            tls,
            instead: Router::new()
                .fallback(to_https)
                .layer(middleware::from_fn_with_state(origins, origin::check)),
        });
        let limiter = listener::limiter(config.max_pages, config.max_pages_per_address);
        listener::serve(listener, router, secured, limiter, &supervisor, app.stop).await;
    }
}

fn router(
    app: &AppState,
    socketio: bool,
    login: Option<Login>,
    origins: Arc<OriginCheck>,
) -> Router {
    let metrics = app.metrics.clone();
    let count_refusals = middleware::map_response(move |response: Response| {
        if response.status().is_client_error() {
            metrics.refused.add();
        }
        future::ready(response)
    });
    let mut router = Router::new()
        .route("/ws", get(socket::open))
        .route("/metrics", get(show_metrics))
        .merge(api::router().layer(count_refusals))
        .with_state(app.clone())
        .merge(assets::router(login.is_some()));
    if socketio {
        router = router.merge(socketio::router(app.clone()));
    }
    if let Some(login) = login.map(Arc::new) {
        router = router
            .merge(login::router(login.clone()))
            .layer(middleware::from_fn_with_state(login, login::check));
    }
    router
        .layer(middleware::from_fn(listener::in_time))
        .layer(middleware::from_fn_with_state(origins, origin::check))
}

async fn show_metrics(State(web): State<AppState>) -> impl IntoResponse {
    let text = web
        .metrics
        .text(&web.hub.lights, web.clients.count(), web.clients.total());
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
