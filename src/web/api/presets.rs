//! `/api/presets`.

use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};

use crate::model::command::{Command, Outcome};
use crate::protocol::input_error::InputError;
use crate::protocol::request::{parse_name, parse_preset, parse_recall};
use crate::protocol::resource::PresetResource;
use crate::web::body::Body;
use crate::web::listener::Peer;
use crate::web::state::AppState;

pub fn router() -> Router<AppState> {
    Router::new()
        .route("/api/presets", get(list))
        .route("/api/presets/{name}", put(save).post(save).delete(forget))
        .route("/api/presets/{name}/recall", post(recall))
}

async fn list(State(app): State<AppState>) -> Response {
    let presets = app.hub.presets.all();
    let presets = presets.iter();
    let presets: Vec<_> = presets
        .map(|(name, preset)| PresetResource::of(name, preset))
        .collect();
    Json(presets).into_response()
}

async fn save(
    State(app): State<AppState>,
    Extension(peer): Extension<Peer>,
    Path(name): Path<String>,
    body: Body,
) -> Result<Response, InputError> {
    let command = Command::SavePreset {
        name: parse_name(&name)?,
        preset: parse_preset(&body.0)?,
    };
    match app.execute(&peer, command)? {
        Outcome::Preset(preset) => Ok(Json(PresetResource::of(&name, &preset)).into_response()),
        other => unreachable!("{other:?}"),
    }
}

async fn forget(
    State(app): State<AppState>,
    Extension(peer): Extension<Peer>,
    Path(name): Path<String>,
) -> Result<StatusCode, InputError> {
    app.execute(&peer, Command::ForgetPreset(name))?;
    Ok(StatusCode::NO_CONTENT)
}

async fn recall(
    State(app): State<AppState>,
    Extension(peer): Extension<Peer>,
    Path(name): Path<String>,
    body: Body,
) -> Result<StatusCode, InputError> {
    let transition = parse_recall(&body.0)?;
    app.execute(&peer, Command::RecallPreset { name, transition })?;
    Ok(StatusCode::NO_CONTENT)
}
