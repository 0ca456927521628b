//! `/api/timers`: what is to happen at a time.

use axum::Json;
use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::connections::Peer;
use super::super::openapi::{NewTimer, Timer};
use super::super::{Error, Web};
use super::Body;
use crate::activity::What;
use crate::timers;
use crate::wire::{self, BadInput};

/// Its routes.
pub fn routes() -> OpenApiRouter<Web> {
    OpenApiRouter::new()
        .routes(routes!(all, add))
        .routes(routes!(cancel))
}

/// All timers
#[utoipa::path(
    get,
    path = "/api/timers",
    operation_id = "timers",
    responses((status = 200, description = "in the order in which they are due", body = [Timer])),
)]
async fn all(State(web): State<Web>) -> Response {
    Json(&*web.house.timers.all()).into_response()
}

/// Adds a timer
#[utoipa::path(
    post,
    path = "/api/timers",
    operation_id = "addTimer",
    request_body = NewTimer,
    responses(
        (status = 200, description = "as it is kept", body = Timer),
        (status = 400, description = "cannot be read", body = Error),
        (status = 404, description = "no such light or preset", body = Error),
        (status = 413, description = "more than 4 KiB", body = Error),
        (status = 422, description = "out of range, or too many timers", body = Error),
    ),
)]
async fn add(
    State(web): State<Web>,
    Extension(peer): Extension<Peer>,
    body: Body,
) -> Result<Response, BadInput> {
    let wanted = wire::parse_timer(&body.0)?;
    wire::check_timer(&wanted, &web.house)?;
    let timer = web.house.timers.add(wanted)?;
    let name = timer.name.clone();
    web.note(&peer, What::Timer { timer: name });
    Ok(Json(timer).into_response())
}

/// Removes a timer
#[utoipa::path(
    delete,
    path = "/api/timers/{name}",
    operation_id = "cancelTimer",
    params(("name" = String, Path, description = "The name of a timer")),
    responses(
        (status = 204, description = "removed"),
        (status = 404, description = "no such timer", body = Error),
    ),
)]
async fn cancel(
    State(web): State<Web>,
    Extension(peer): Extension<Peer>,
    Path(timer): Path<String>,
) -> Result<StatusCode, BadInput> {
    web.house.timers.cancel(&timer)?;
    web.note(&peer, What::Cancelled { timer });
    Ok(StatusCode::NO_CONTENT)
}

impl From<&timers::Error> for StatusCode {
    fn from(error: &timers::Error) -> StatusCode {
        match error {
            timers::Error::NoSuch(_) => StatusCode::NOT_FOUND,
            timers::Error::Full | timers::Error::NoPlace(_) | timers::Error::Never(_) => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
        }
    }
}
