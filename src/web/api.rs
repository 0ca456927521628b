//! The REST API below `/api`, for scripts and anything without a WebSocket.

mod openapi;
mod presets;
mod timers;

use axum::Json;
use axum::extract::{DefaultBodyLimit, Extension, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::model::activity::Action;
use crate::model::effect::Effect;
use crate::model::level::Level;
use crate::model::lights::{Light, Lights};
use crate::protocol::{self, BadInput};
use crate::web::body::Body;
use crate::web::listener::Peer;
use crate::web::response::{ErrorBody, error};
use crate::web::state::AppState;
use openapi::{LightChange, MaybeEffect};

/// A light as the API shows it.
#[derive(Serialize, ToSchema)]
#[schema(as = LightNow)]
struct Shown<'a> {
    #[serde(flatten)]
    light: &'a Light,
    /// Percent, in steps of 0.1: where it is, or is on its way to.
    #[schema(value_type = f64, minimum = 0, maximum = 100)]
    level: Level,
    #[serde(flatten)]
    #[schema(value_type = MaybeEffect)]
    effect: Option<Effect>,
    /// Seconds until it is there, while it is on its way.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    left: Option<f64>,
    /// What its driver says while it fails.
    #[schema(required)]
    fault: Option<String>,
}

/// Whether all drivers work.
#[derive(Serialize, ToSchema)]
struct Health<'a> {
    healthy: bool,
    /// The lights whose drivers fail, if there are any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    faults: Vec<Shown<'a>>,
}

/// Routes below `/api`, with their description.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::with_openapi(openapi::head())
        .routes(routes!(all))
        .routes(routes!(one, change))
        .routes(routes!(health))
        .routes(routes!(openapi::describe))
        .merge(presets::routes())
        .merge(timers::routes())
        .route("/api/{*rest}", any(nothing))
        .layer(DefaultBodyLimit::max(protocol::MAX_MESSAGE))
}

/// All lights
#[utoipa::path(
    get,
    path = "/api/lights",
    operation_id = "lights",
    responses((status = 200, description = "in the order of the settings", body = [Shown])),
)]
async fn all(State(web): State<AppState>) -> Response {
    let lights: Vec<_> = (0..web.hub.lights.list().len())
        .map(|index| shown(&web.hub.lights, index))
        .collect();
    Json(lights).into_response()
}

/// One light
#[utoipa::path(
    get,
    path = "/api/lights/{name}",
    operation_id = "light",
    params(("name" = String, Path, description = "The name of a light")),
    responses(
        (status = 200, description = "as it is now", body = Shown),
        (status = 404, description = "no such light", body = ErrorBody),
    ),
)]
async fn one(State(web): State<AppState>, Path(name): Path<String>) -> Result<Response, BadInput> {
    let index = find(&web.hub.lights, name)?;
    Ok(Json(shown(&web.hub.lights, index)).into_response())
}

/// Changes a light, and answers its new state
#[utoipa::path(
    put,
    path = "/api/lights/{name}",
    operation_id = "changeLight",
    params(("name" = String, Path, description = "The name of a light")),
    request_body = LightChange,
    responses(
        (status = 200, description = "as it is now", body = Shown),
        (status = 400, description = "cannot be read", body = ErrorBody),
        (status = 404, description = "no such light", body = ErrorBody),
        (status = 413, description = "more than 4 KiB", body = ErrorBody),
        (status = 422, description = "out of range", body = ErrorBody),
    ),
)]
async fn change(
    State(web): State<AppState>,
    Extension(peer): Extension<Peer>,
    Path(name): Path<String>,
    body: Body,
) -> Result<Response, BadInput> {
    let lights = &web.hub.lights;
    let index = find(lights, name)?;
    let wanted = protocol::parse_change(&body.0)?;
    wanted.check(&lights.list()[index])?;
    let state = lights.change(index, wanted.change, wanted.transition, None);
    let what = Action::of(wanted.change, &lights.list()[index], &state);
    web.note(&peer, what);
    Ok(Json(shown(lights, index)).into_response())
}

/// Whether all drivers work
#[utoipa::path(
    get,
    path = "/api/health",
    responses(
        (status = 200, description = "they do", body = Health),
        (status = 503, description = "some driver fails", body = Health),
    ),
)]
async fn health(State(web): State<AppState>) -> Response {
    let faults: Vec<_> = (0..web.hub.lights.list().len())
        .map(|index| shown(&web.hub.lights, index))
        .filter(|shown| shown.fault.is_some())
        .collect();
    let healthy = faults.is_empty();
    let status = match healthy {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, Json(Health { healthy, faults })).into_response()
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
        left: state.left().map(protocol::seconds),
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
            BadInput::Say(_) | BadInput::Fleet(_) => StatusCode::UNPROCESSABLE_ENTITY,
        };
        error(status, self.to_string())
    }
}
