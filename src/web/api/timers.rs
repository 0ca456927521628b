//! `/api/timers`: what is to happen at a time.

use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get};
use axum::{Json, Router};

use super::super::Web;
use super::super::connections::Peer;
use super::Body;
use crate::activity::{What, Who};
use crate::timers::Error;
use crate::wire::{self, BadInput};

/// Its routes.
pub fn router() -> Router<Web> {
    Router::new()
        .route("/api/timers", get(all).post(add))
        .route("/api/timers/{name}", delete(cancel))
}

async fn all(State(web): State<Web>) -> Response {
    Json(&*web.house.timers.all()).into_response()
}

async fn add(
    State(web): State<Web>,
    Extension(peer): Extension<Peer>,
    body: Body,
) -> Result<Response, BadInput> {
    let wanted = wire::parse_timer(&body.0)?;
    wire::check_timer(&wanted, &web.house)?;
    let timer = web.house.timers.add(wanted)?;
    let name = timer.name.clone();
    web.house
        .activity
        .note(Who::Api(peer.address()), What::Timer { timer: name });
    Ok(Json(timer).into_response())
}

async fn cancel(
    State(web): State<Web>,
    Extension(peer): Extension<Peer>,
    Path(timer): Path<String>,
) -> Result<StatusCode, BadInput> {
    web.house.timers.cancel(&timer)?;
    web.house
        .activity
        .note(Who::Api(peer.address()), What::Cancelled { timer });
    Ok(StatusCode::NO_CONTENT)
}

impl From<&Error> for StatusCode {
    fn from(error: &Error) -> StatusCode {
        match error {
            Error::NoSuch(_) => StatusCode::NOT_FOUND,
            Error::Full | Error::NoPlace(_) | Error::Never(_) => StatusCode::UNPROCESSABLE_ENTITY,
        }
    }
}
