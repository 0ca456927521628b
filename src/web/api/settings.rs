//! `/api/settings` and `/api/cities`.

use axum::extract::{Extension, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use tokio::task;

use crate::model::command::Command;
use crate::platform::cities;
use crate::protocol::input_error::InputError;
use crate::protocol::request::parse_settings;
use crate::protocol::resource::SettingsResource;
use crate::web::body::Body;
use crate::web::listener::Peer;
use crate::web::state::AppState;

pub fn router() -> Router<AppState> {
    Router::new()
        .route("/api/settings", get(show).put(change).post(change))
        .route("/api/cities", get(list_cities))
}

async fn show(State(app): State<AppState>) -> Response {
    let hub = &app.hub;
    Json(SettingsResource::of(&hub.settings, &hub.lights)).into_response()
}

async fn change(
    State(app): State<AppState>,
    Extension(peer): Extension<Peer>,
    body: Body,
) -> Result<Response, InputError> {
    let change = parse_settings(&body.0)?;
    app.execute(&peer, Command::ChangeSettings(change))?;
    Ok(show(State(app)).await)
}

async fn list_cities() -> Response {
    let cities = task::spawn_blocking(cities::list).await;
    // A panic goes on in the task of the connection, which is watched.
    Json(cities.expect("the cities were not read")).into_response()
}
