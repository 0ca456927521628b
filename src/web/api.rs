//! The REST API below `/api`, for scripts and anything without a WebSocket.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use axum::{Json, Router};
use serde::Serialize;
use serde_json::json;

use super::{Web, error};
use crate::level::Level;
use crate::lights::{Light, Lights};
use crate::wire::{self, BadInput};

/// A light as the API shows it.
#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    light: &'a Light,
    level: Level,
    fault: Option<String>,
}

/// Routes below `/api`.
pub fn router() -> Router<Web> {
    Router::new()
        .route("/api/lights", get(all))
        .route("/api/lights/{name}", get(one).put(change))
        .route("/api/health", get(health))
        .route("/api/{*rest}", any(nothing))
        .layer(DefaultBodyLimit::max(wire::MAX_MESSAGE))
}

async fn all(State(web): State<Web>) -> Response {
    let lights: Vec<_> = (0..web.lights.list().len())
        .map(|index| shown(&web.lights, index))
        .collect();
    Json(lights).into_response()
}

async fn one(State(web): State<Web>, Path(name): Path<String>) -> Result<Response, BadInput> {
    let index = find(&web.lights, name)?;
    Ok(Json(shown(&web.lights, index)).into_response())
}

async fn change(
    State(web): State<Web>,
    Path(name): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let body = match body {
        Ok(body) => body,
        Err(rejection) => {
            let message = match rejection.status() {
                StatusCode::PAYLOAD_TOO_LARGE => {
                    format!("a body must have at most {} bytes", wire::MAX_MESSAGE)
                }
                _ => rejection.body_text(),
            };
            return error(rejection.status(), message);
        }
    };
    let change = || {
        let index = find(&web.lights, name)?;
        let wanted = wire::parse_change(&body)?;
        web.lights
            .change(index, wanted.change, wanted.transition, None);
        Ok::<_, BadInput>(Json(shown(&web.lights, index)))
    };
    change()
        .inspect_err(|_| web.metrics.refused.add())
        .into_response()
}

/// 200, or 503 while a light is in fault.
async fn health(State(web): State<Web>) -> Response {
    let faults: Vec<_> = (0..web.lights.list().len())
        .map(|index| shown(&web.lights, index))
        .filter(|shown| shown.fault.is_some())
        .collect();
    if faults.is_empty() {
        Json(json!({"healthy": true})).into_response()
    } else {
        let body = Json(json!({"healthy": false, "faults": faults}));
        (StatusCode::SERVICE_UNAVAILABLE, body).into_response()
    }
}

async fn nothing() -> Response {
    error(StatusCode::NOT_FOUND, "the API has no such path".into())
}

fn find(lights: &Lights, name: String) -> Result<usize, BadInput> {
    lights.find(&name).ok_or(BadInput::NoSuchLight(name))
}

fn shown(lights: &Lights, index: usize) -> Shown<'_> {
    let state = lights.state(index);
    Shown {
        light: &lights.list()[index],
        level: state.level,
        fault: state.fault.map(|fault| fault.message.to_string()),
    }
}

impl IntoResponse for BadInput {
    fn into_response(self) -> Response {
        let status = match self {
            BadInput::Malformed(_) => StatusCode::BAD_REQUEST,
            BadInput::OutOfRange(_) => StatusCode::UNPROCESSABLE_ENTITY,
            BadInput::NoSuchLight(_) => StatusCode::NOT_FOUND,
        };
        error(status, self.to_string())
    }
}
