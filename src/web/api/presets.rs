//! `/api/presets`: names for what the lights are set to.

use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use super::super::Web;
use super::super::connections::Peer;
use super::Body;
use crate::activity::{What, Who};
use crate::presets::{self, Error, Preset};
use crate::wire::{self, BadInput};

/// A preset as the API shows it.
#[derive(Serialize)]
struct Named<'a> {
    name: &'a str,
    lights: &'a Preset,
}

/// What a preset may be saved as, instead of what the lights are set to.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    lights: Preset,
}

/// Its routes.
pub fn router() -> Router<Web> {
    Router::new()
        .route("/api/presets", get(all))
        .route("/api/presets/{name}", put(save).delete(forget))
        .route("/api/presets/{name}/recall", post(recall))
}

async fn all(State(web): State<Web>) -> Response {
    let presets = web.house.presets.all();
    let named = presets.iter().map(|(name, lights)| Named { name, lights });
    Json(named.collect::<Vec<_>>()).into_response()
}

async fn save(
    State(web): State<Web>,
    Extension(peer): Extension<Peer>,
    Path(name): Path<String>,
    body: Body,
) -> Result<Response, BadInput> {
    let house = &web.house;
    wire::name("name", &name)?;
    let lights = match body.read::<Given>()? {
        None => presets::of(&house.lights),
        Some(given) => given.lights,
    };
    for light in lights.keys() {
        if house.lights.find(light).is_none() {
            return Err(BadInput::NoSuchLight(light.clone()));
        }
    }
    house.presets.save(&name, lights.clone())?;
    let preset = name.clone();
    house
        .activity
        .note(Who::Api(peer.address()), What::Saved { preset });
    let named = Named {
        name: &name,
        lights: &lights,
    };
    Ok(Json(named).into_response())
}

async fn forget(
    State(web): State<Web>,
    Extension(peer): Extension<Peer>,
    Path(preset): Path<String>,
) -> Result<StatusCode, BadInput> {
    let house = &web.house;
    house.presets.forget(&preset)?;
    house
        .activity
        .note(Who::Api(peer.address()), What::Forgot { preset });
    Ok(StatusCode::NO_CONTENT)
}

async fn recall(
    State(web): State<Web>,
    Extension(peer): Extension<Peer>,
    Path(preset): Path<String>,
    body: Body,
) -> Result<StatusCode, BadInput> {
    let transition = wire::parse_recall(&body.0)?;
    let house = &web.house;
    house
        .presets
        .recall(&preset, &house.lights, transition, None)?;
    house
        .activity
        .note(Who::Api(peer.address()), What::Recalled { preset });
    Ok(StatusCode::NO_CONTENT)
}

impl From<&Error> for StatusCode {
    fn from(error: &Error) -> StatusCode {
        match error {
            Error::Full => StatusCode::UNPROCESSABLE_ENTITY,
            Error::NoSuch(_) => StatusCode::NOT_FOUND,
        }
    }
}
