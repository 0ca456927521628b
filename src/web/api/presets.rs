//! `/api/presets`: names for what the lights are set to.

use axum::Json;
use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::openapi::Recall;
use crate::model::activity::Action;
use crate::model::presets::{self, Fields, Preset};
use crate::protocol::{self, BadInput};
use crate::web::body::Body;
use crate::web::listener::Peer;
use crate::web::response::ErrorBody;
use crate::web::state::AppState;

/// A preset as the API shows it.
#[derive(Serialize, ToSchema)]
#[schema(as = Preset)]
struct Named<'a> {
    name: &'a str,
    /// What each light is set to, by the name of the light.
    #[schema(value_type = BTreeMap<String, Fields>)]
    lights: &'a Preset,
}

/// What a preset may be saved as, instead of what the lights are set to.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = GivenPreset)]
struct Given {
    /// What each light is set to, by the name of the light.
    #[schema(value_type = BTreeMap<String, Fields>)]
    lights: Preset,
}

/// Its routes.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(all))
        .routes(routes!(save, forget))
        .routes(routes!(recall))
}

/// All presets
#[utoipa::path(
    get,
    path = "/api/presets",
    operation_id = "presets",
    responses((status = 200, description = "in the order of their names", body = [Named])),
)]
async fn all(State(web): State<AppState>) -> Response {
    let presets = web.hub.presets.all();
    let named = presets.iter().map(|(name, lights)| Named { name, lights });
    Json(named.collect::<Vec<_>>()).into_response()
}

/// Saves the lights as they are, or as a body says
#[utoipa::path(
    put,
    path = "/api/presets/{name}",
    operation_id = "savePreset",
    params(("name" = String, Path, description = "1 to 40 characters")),
    request_body = Option<Given>,
    responses(
        (status = 200, description = "as it is kept", body = Named),
        (status = 400, description = "cannot be read", body = ErrorBody),
        (status = 404, description = "no such light", body = ErrorBody),
        (status = 413, description = "more than 4 KiB", body = ErrorBody),
        (status = 422, description = "too many presets", body = ErrorBody),
    ),
)]
async fn save(
    State(web): State<AppState>,
    Extension(peer): Extension<Peer>,
    Path(name): Path<String>,
    body: Body,
) -> Result<Response, BadInput> {
    let hub = &web.hub;
    protocol::name("name", &name)?;
    let lights = match body.read::<Given>()? {
        None => presets::of(&hub.lights),
        Some(given) => given.lights,
    };
    for light in lights.keys() {
        if hub.lights.find(light).is_none() {
            return Err(BadInput::NoSuchLight(light.clone()));
        }
    }
    hub.presets.save(&name, lights.clone())?;
    let preset = name.clone();
    web.note(&peer, Action::Saved { preset });
    let named = Named {
        name: &name,
        lights: &lights,
    };
    Ok(Json(named).into_response())
}

/// Removes a preset
#[utoipa::path(
    delete,
    path = "/api/presets/{name}",
    operation_id = "forgetPreset",
    params(("name" = String, Path, description = "The name of a preset")),
    responses(
        (status = 204, description = "removed"),
        (status = 404, description = "no such preset", body = ErrorBody),
    ),
)]
async fn forget(
    State(web): State<AppState>,
    Extension(peer): Extension<Peer>,
    Path(preset): Path<String>,
) -> Result<StatusCode, BadInput> {
    let hub = &web.hub;
    hub.presets.forget(&preset)?;
    web.note(&peer, Action::Forgot { preset });
    Ok(StatusCode::NO_CONTENT)
}

/// Sets the lights as a preset says
#[utoipa::path(
    post,
    path = "/api/presets/{name}/recall",
    operation_id = "recallPreset",
    params(("name" = String, Path, description = "The name of a preset")),
    request_body = Option<Recall>,
    responses(
        (status = 204, description = "set"),
        (status = 400, description = "cannot be read", body = ErrorBody),
        (status = 404, description = "no such preset", body = ErrorBody),
        (status = 413, description = "more than 4 KiB", body = ErrorBody),
        (status = 422, description = "out of range", body = ErrorBody),
    ),
)]
async fn recall(
    State(web): State<AppState>,
    Extension(peer): Extension<Peer>,
    Path(preset): Path<String>,
    body: Body,
) -> Result<StatusCode, BadInput> {
    let transition = protocol::parse_recall(&body.0)?;
    let hub = &web.hub;
    hub.presets.recall(&preset, &hub.lights, transition, None)?;
    web.note(&peer, Action::Recalled { preset });
    Ok(StatusCode::NO_CONTENT)
}

impl From<&presets::Error> for StatusCode {
    fn from(error: &presets::Error) -> StatusCode {
        match error {
            presets::Error::Full => StatusCode::UNPROCESSABLE_ENTITY,
            presets::Error::NoSuch(_) => StatusCode::NOT_FOUND,
        }
    }
}
