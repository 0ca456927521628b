//! What stands in for Socket.IO where dimmer is built without it: it has no routes.

use axum::Router;

use crate::web::state::AppState;

/// No routes.
pub fn router(_: AppState) -> Router {
    Router::new()
}
