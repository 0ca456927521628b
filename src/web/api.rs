//! The REST API below `/api`, for scripts and anything without a WebSocket.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::openapi::{self, LightChange};
use super::{Error, Web, error};
use crate::level::Level;
use crate::lights::{Light, Lights};
use crate::wire::{self, BadInput};

/// A light as the API shows it.
#[derive(Serialize, ToSchema)]
#[schema(as = LightNow)]
struct Shown<'a> {
    #[serde(flatten)]
    light: &'a Light,
    /// Percent, in steps of 0.1: where it is, or is on its way to.
    #[schema(value_type = f64, minimum = 0, maximum = 100)]
    level: Level,
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
pub fn routes() -> OpenApiRouter<Web> {
    OpenApiRouter::with_openapi(openapi::head())
        .routes(routes!(all))
        .routes(routes!(one, change))
        .routes(routes!(health))
        .routes(routes!(openapi::describe))
        .route("/api/{*rest}", any(nothing))
        .layer(DefaultBodyLimit::max(wire::MAX_MESSAGE))
}

/// All lights
#[utoipa::path(
    get,
    path = "/api/lights",
    operation_id = "lights",
    responses((status = 200, description = "in the order of the settings", body = [Shown])),
)]
async fn all(State(web): State<Web>) -> Response {
    let lights: Vec<_> = (0..web.lights.list().len())
        .map(|index| shown(&web.lights, index))
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
        (status = 404, description = "no such light", body = Error),
    ),
)]
async fn one(State(web): State<Web>, Path(name): Path<String>) -> Result<Response, BadInput> {
    let index = find(&web.lights, name)?;
    Ok(Json(shown(&web.lights, index)).into_response())
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
        (status = 400, description = "cannot be read", body = Error),
        (status = 404, description = "no such light", body = Error),
        (status = 413, description = "more than 4 KiB", body = Error),
        (status = 422, description = "out of range", body = Error),
    ),
)]
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

/// Whether all drivers work
#[utoipa::path(
    get,
    path = "/api/health",
    responses(
        (status = 200, description = "they do", body = Health),
        (status = 503, description = "some driver fails", body = Health),
    ),
)]
async fn health(State(web): State<Web>) -> Response {
    let faults: Vec<_> = (0..web.lights.list().len())
        .map(|index| shown(&web.lights, index))
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
