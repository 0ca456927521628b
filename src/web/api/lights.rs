//! `/api/lights` and `/api/health`.

use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};

use crate::model::command::{Command, CommandError, Target, TargetChange};
use crate::model::lights::{LightId, Lights};
use crate::protocol::input_error::InputError;
use crate::protocol::request::{parse_change, parse_changes};
use crate::protocol::resource::{HealthResource, LightResource};
use crate::web::body::Body;
use crate::web::listener::Peer;
use crate::web::state::AppState;

pub fn router() -> Router<AppState> {
    Router::new()
        .route("/api/lights", get(list).put(change_all).post(change_all))
        .route("/api/lights/{name}", get(show).put(change).post(change))
        .route("/api/lights/{name}/greeted", post(greet))
        .route("/api/health", get(health))
}

async fn list(State(app): State<AppState>) -> Response {
    Json(all(&app.hub.lights)).into_response()
}

async fn change_all(
    State(app): State<AppState>,
    Extension(peer): Extension<Peer>,
    body: Body,
) -> Result<Response, InputError> {
    let lights = &app.hub.lights;
    let changes = parse_changes(&body.0)?.into_iter().map(|(name, wanted)| {
        Ok(TargetChange {
            target: Target::Own(find(lights, name)?),
            change: wanted.change,
            transition: wanted.transition,
        })
    });
    let changes: Result<_, CommandError> = changes.collect();
    app.execute(&peer, Command::ChangeTogether(changes?))?;
    Ok(Json(all(lights)).into_response())
}

async fn show(
    State(app): State<AppState>,
    Path(name): Path<String>,
) -> Result<Response, InputError> {
    let lights = &app.hub.lights;
    let light = find(lights, name)?;
    Ok(Json(LightResource::of(lights, light)).into_response())
}

async fn change(
    State(app): State<AppState>,
    Extension(peer): Extension<Peer>,
    Path(name): Path<String>,
    body: Body,
) -> Result<Response, InputError> {
    let lights = &app.hub.lights;
    let light = find(lights, name)?;
    let wanted = parse_change(&body.0)?;
    let command = Command::Change {
        target: Target::Own(light),
        change: wanted.change,
        transition: wanted.transition,
    };
    app.execute(&peer, command)?;
    Ok(Json(LightResource::of(lights, light)).into_response())
}

async fn greet(
    State(app): State<AppState>,
    Extension(peer): Extension<Peer>,
    Path(name): Path<String>,
) -> Result<StatusCode, InputError> {
    let light = find(&app.hub.lights, name)?;
    app.execute(&peer, Command::Greet(light))?;
    Ok(StatusCode::NO_CONTENT)
}

async fn health(State(app): State<AppState>) -> Response {
    let health = HealthResource::of(&app.hub.lights);
    let status = match health.healthy {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, Json(health)).into_response()
}

fn all(lights: &Lights) -> Vec<LightResource<'_>> {
    let ids = lights.ids();
    ids.map(|light| LightResource::of(lights, light)).collect()
}

fn find(lights: &Lights, name: String) -> Result<LightId, CommandError> {
    lights.find(&name).ok_or(CommandError::NoSuchLight(name))
}
