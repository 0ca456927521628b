//! The network front: the page, `/ws`, Socket.IO and the REST API on one port.

mod allowance;
mod api;
mod assets;
mod auth;
mod authority;
mod body;
mod limiter;
mod listener;
mod live;
mod origin;
mod policy;
mod refusals;
mod request_clock;
mod response;
#[cfg_attr(not(feature = "socketio"), path = "without/socketio.rs")]
mod socketio;
mod state;

use std::future;
use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HOST, LOCATION};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Router, middleware};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::config::WebConfig;
use crate::metrics::{self, Metrics};
use crate::model::backup_requests::Backups;
use crate::model::hub::Hub;
use crate::model::matter::Matter;
use crate::platform::supervisor::Supervisor;
use crate::protocol::resource::DoctorResource;
pub use auth::login::Login;
use auth::{authenticate, login};
use limiter::ConnectionLimiter;
use listener::Secured;
use live::client_view::Sources;
use live::fanout::Fanout;
use live::socket;
use origin::OriginCheck;
use response::error;
use state::AppState;
pub use state::Doctor;

/// The most backups that are sent and received at the same time.
const MAX_LARGE_BODIES: usize = 8;

/// The HTTP server: its routes, and the state that they share.
pub struct Server {
    app: AppState,
    config: WebConfig,
    login: Option<Login>,
    supervisor: Supervisor,
}

impl Server {
    /// A server of this hub, which asks for a password if there is a login, and runs until `stop`.
    pub fn new(
        hub: Arc<Hub>,
        backups: Backups,
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
            backups,
            doctor: Arc::new(DoctorResource::default),
            matter: None,
            consultation: Arc::new(Semaphore::new(1)),
            large_bodies: Arc::new(Semaphore::new(MAX_LARGE_BODIES)),
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

    /// The same server with this doctor, whom `/api/doctor` asks.
    pub fn with_doctor(mut self, doctor: Doctor) -> Server {
        self.app.doctor = doctor;
        self
    }

    /// The same server with Matter, if that is on.
    pub fn with_matter(mut self, matter: Option<Matter>) -> Server {
        self.app.matter = matter;
        self
    }

    /// The fan-out, which sends the clients their updates once it is run.
    pub fn fanout(&self) -> Arc<Fanout> {
        self.app.fanout.clone()
    }

    /// Serves until the service stops and every connection is closed. With a certificate, requests without
    /// TLS are only redirected.
    pub async fn serve(self, listener: TcpListener) {
        let Server {
            app,
            config,
            login,
            supervisor,
        } = self;
        let policies = [
            policy::page(&config.allowed_hosts),
            policy::login(&config.allowed_hosts),
        ];
        let origins = Arc::new(OriginCheck::new(config.allowed_hosts));
        let router = router(&app, config.socketio, login, policies, origins.clone());
        let check_origin = || middleware::from_fn_with_state(origins.clone(), origin::check);
        // Without TLS and without a password: this is how a phone comes to trust the certificate.
        let authority = config.tls.clone().map(authority::router);
        let authority = authority.unwrap_or_default().layer(check_origin());
        let secured = config.tls.map(|tls| Secured {
            tls,
            plain: Router::new()
                .fallback(redirect_to_https)
                .layer(check_origin())
                .merge(authority.clone()),
        });
        let router = router.merge(authority);
        let limiter = listener::limiter(config.max_pages, config.max_pages_per_address);
        listener::serve(listener, router, secured, limiter, &supervisor, app.stop).await;
    }
}

fn router(
    app: &AppState,
    socketio: bool,
    login: Option<Login>,
    [page_policy, login_policy]: [HeaderValue; 2],
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
        .route("/ws", get(socket::open).post(socket::explain))
        .route("/metrics", get(show_metrics))
        .merge(api::router().layer(count_refusals))
        .with_state(app.clone())
        .merge(assets::router(page_policy));
    if socketio {
        router = router.merge(socketio::router(app.clone()));
    }
    if let Some(login) = login {
        let authenticator = login.authenticator();
        router =
            router
                .merge(login::router(login, login_policy))
                .layer(middleware::from_fn_with_state(
                    authenticator,
                    authenticate::check,
                ));
    }
    let router = router
        .layer(middleware::from_fn(listener::limit_time))
        .layer(middleware::from_fn_with_state(origins, origin::check))
        .layer(middleware::from_fn_with_state(
            app.metrics.clone(),
            count_request,
        ));
    // Around the router: that adds `Allow` to a response when it has passed all of its own layers.
    Router::new()
        .fallback_service(router)
        .layer(middleware::map_response(response::name_methods))
        .layer(middleware::map_response_with_state(
            Arc::default(),
            refusals::log,
        ))
}

async fn count_request(
    State(metrics): State<Arc<Metrics>>,
    route: Option<MatchedPath>,
    request: Request,
    next: Next,
) -> Response {
    let response = next.run(request).await;
    let route = route.as_ref().map_or("other", MatchedPath::as_str);
    metrics.add_request(route, response.status().as_u16());
    response
}

async fn show_metrics(State(app): State<AppState>) -> impl IntoResponse {
    let text = app
        .metrics
        .text(&app.hub, app.clients.count(), app.clients.total());
    ([(CONTENT_TYPE, metrics::MEDIA_TYPE)], text)
}

/// Answers a request that came without TLS where a certificate is set.
async fn redirect_to_https(request: Request) -> Response {
    // The check of the origin has passed, so there is one host.
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
            // Not permanent: without its certificate, the service has to stay reachable.
            let headers = [(LOCATION, location.as_str()), (CACHE_CONTROL, "no-store")];
            (StatusCode::TEMPORARY_REDIRECT, headers).into_response()
        }
        _ => error(
            StatusCode::FORBIDDEN,
            format!("this must be sent by TLS, to {location}"),
        ),
    }
}

#[cfg(test)]
mod testing {
    use std::net::SocketAddr;

    use super::*;
    use crate::model::lights::Lights;
    use crate::platform::supervisor::{Failures, heartbeat};

    /// Serves one light to two clients on loopback, until the test ends.
    pub async fn serve() -> (SocketAddr, Supervisor, Failures) {
        let config = WebConfig {
            allowed_hosts: Vec::new(),
            max_pages: 2,
            max_pages_per_address: 2,
            socketio: true,
            password: None,
            tls: None,
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (supervisor, failures) = Supervisor::new();
        let server = Server::new(
            Hub::with(Lights::led()),
            Backups::new().0,
            Metrics::new(Vec::new()),
            config,
            None,
            supervisor.clone(),
            CancellationToken::new(),
        );
        let fanout = server.fanout();
        tokio::spawn(async move { fanout.run(heartbeat().1).await });
        tokio::spawn(server.serve(listener));
        (address, supervisor, failures)
    }
}
