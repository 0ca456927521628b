//! The REST API below `/api`, for scripts and programs without a WebSocket.

mod backup;
mod doctor;
mod lights;
mod matter;
mod openapi;
mod presets;
mod settings;
mod timers;

use axum::Router;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{any, get};

use crate::protocol::NO_SUCH_PATH;
use crate::web::response::error;
use crate::web::state::AppState;

/// The routes below `/api`.
pub fn router() -> Router<AppState> {
    Router::new()
        .merge(backup::router())
        .merge(doctor::router())
        .merge(lights::router())
        .merge(matter::router())
        .merge(presets::router())
        .merge(settings::router())
        .merge(timers::router())
        .route("/api/openapi.json", get(openapi::document))
        .route("/api/{*rest}", any(not_found))
}

async fn not_found() -> Response {
    error(StatusCode::NOT_FOUND, NO_SUCH_PATH.into())
}
