//! `/api/timers`: what is to happen at a time.

use axum::Json;
use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::openapi::{NewTimer, Timer};
use crate::model::activity::Action;
use crate::model::timers;
use crate::protocol::{self, BadInput};
use crate::web::body::Body;
use crate::web::listener::Peer;
use crate::web::response::ErrorBody;
use crate::web::state::AppState;

/// Its routes.
pub fn routes() -> OpenApiRouter<AppState> {
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
async fn all(State(web): State<AppState>) -> Response {
    Json(&*web.hub.timers.all()).into_response()
}

/// Adds a timer
#[utoipa::path(
    post,
    path = "/api/timers",
    operation_id = "addTimer",
    request_body = NewTimer,
    responses(
        (status = 200, description = "as it is kept", body = Timer),
        (status = 400, description = "cannot be read", body = ErrorBody),
        (status = 404, description = "no such light or preset", body = ErrorBody),
        (status = 413, description = "more than 4 KiB", body = ErrorBody),
        (status = 422, description = "out of range, or too many timers", body = ErrorBody),
    ),
)]
async fn add(
    State(web): State<AppState>,
    Extension(peer): Extension<Peer>,
    body: Body,
) -> Result<Response, BadInput> {
    let wanted = protocol::parse_timer(&body.0)?;
    protocol::check_timer(&wanted, &web.hub)?;
    let timer = web.hub.timers.add(wanted)?;
    let name = timer.name.clone();
    web.note(&peer, Action::Timer { timer: name });
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
        (status = 404, description = "no such timer", body = ErrorBody),
    ),
)]
async fn cancel(
    State(web): State<AppState>,
    Extension(peer): Extension<Peer>,
    Path(timer): Path<String>,
) -> Result<StatusCode, BadInput> {
    web.hub.timers.cancel(&timer)?;
    web.note(&peer, Action::Cancelled { timer });
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
