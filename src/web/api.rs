//! The REST API below `/api`, for scripts and anything without a WebSocket.

mod presets;
mod timers;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Extension, FromRequest, Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use axum::{Json, Router};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::connections::Peer;
use super::{Web, error};
use crate::activity::{What, Who};
use crate::effect::Effect;
use crate::level::Level;
use crate::lights::{Light, Lights};
use crate::wire::{self, BadInput};

/// A light as the API shows it.
#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    light: &'a Light,
    level: Level,
    #[serde(flatten)]
    effect: Option<Effect>,
    #[serde(skip_serializing_if = "Option::is_none")]
    left: Option<f64>,
    fault: Option<String>,
}

/// Routes below `/api`.
pub fn router() -> Router<Web> {
    Router::new()
        .route("/api/lights", get(all))
        .route("/api/lights/{name}", get(one).put(change))
        .route("/api/health", get(health))
        .merge(presets::router())
        .merge(timers::router())
        .route("/api/{*rest}", any(nothing))
        .layer(DefaultBodyLimit::max(wire::MAX_MESSAGE))
}

async fn all(State(web): State<Web>) -> Response {
    let lights: Vec<_> = (0..web.house.lights.list().len())
        .map(|index| shown(&web.house.lights, index))
        .collect();
    Json(lights).into_response()
}

async fn one(State(web): State<Web>, Path(name): Path<String>) -> Result<Response, BadInput> {
    let index = find(&web.house.lights, name)?;
    Ok(Json(shown(&web.house.lights, index)).into_response())
}

async fn change(
    State(web): State<Web>,
    Extension(peer): Extension<Peer>,
    Path(name): Path<String>,
    body: Body,
) -> Result<Response, BadInput> {
    let lights = &web.house.lights;
    let index = find(lights, name)?;
    let wanted = wire::parse_change(&body.0)?;
    wanted.check(&lights.list()[index])?;
    let state = lights.change(index, wanted.change, wanted.transition, None);
    let what = What::of(wanted.change, &lights.list()[index], &state);
    web.house.activity.note(Who::Api(peer.address()), what);
    Ok(Json(shown(lights, index)).into_response())
}

/// The bytes of a request's body, 4 KiB at most.
pub struct Body(pub Bytes);

impl Body {
    /// What it says, if there is anything in it.
    fn read<T: DeserializeOwned>(&self) -> Result<Option<T>, BadInput> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let read = serde_json::from_slice(&self.0);
        read.map(Some)
            .map_err(|error| BadInput::Malformed(error.to_string()))
    }
}

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Body, Response> {
        let read = Bytes::from_request(request, state).await;
        read.map(Body).map_err(|rejection| {
            let message = match rejection.status() {
                StatusCode::PAYLOAD_TOO_LARGE => {
                    format!("a body must have at most {} bytes", wire::MAX_MESSAGE)
                }
                _ => rejection.body_text(),
            };
            error(rejection.status(), message)
        })
    }
}

/// 200, or 503 while a light is in fault.
async fn health(State(web): State<Web>) -> Response {
    let faults: Vec<_> = (0..web.house.lights.list().len())
        .map(|index| shown(&web.house.lights, index))
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
        effect: state.effect,
        left: state.left().map(wire::seconds),
        fault: state.fault.map(|fault| fault.message.to_string()),
    }
}

impl IntoResponse for BadInput {
    fn into_response(self) -> Response {
        let status = match &self {
            BadInput::Malformed(_) => StatusCode::BAD_REQUEST,
            BadInput::OutOfRange(_) => StatusCode::UNPROCESSABLE_ENTITY,
            BadInput::NoSuchLight(_) => StatusCode::NOT_FOUND,
            BadInput::Preset(error) => error.into(),
            BadInput::Timer(error) => error.into(),
            BadInput::Say(_) => StatusCode::UNPROCESSABLE_ENTITY,
        };
        error(status, self.to_string())
    }
}
