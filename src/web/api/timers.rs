//! `/api/timers`.

use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get};
use axum::{Json, Router};

use crate::model::command::{Command, Outcome};
use crate::protocol::input_error::InputError;
use crate::protocol::request::parse_timer;
use crate::protocol::resource::{TimerResource, timers};
use crate::web::body::Body;
use crate::web::listener::Peer;
use crate::web::state::AppState;

pub fn router() -> Router<AppState> {
    Router::new()
        .route("/api/timers", get(list).post(add))
        .route("/api/timers/{name}", delete(cancel))
}

async fn list(State(app): State<AppState>) -> Response {
    Json(timers(&app.hub.timers.all())).into_response()
}

async fn add(
    State(app): State<AppState>,
    Extension(peer): Extension<Peer>,
    body: Body,
) -> Result<Response, InputError> {
    let command = Command::AddTimer(parse_timer(&body.0)?);
    match app.execute(&peer, command)? {
        Outcome::Timer(timer) => Ok(Json(TimerResource::from(&timer)).into_response()),
        other => unreachable!("{other:?}"),
    }
}

async fn cancel(
    State(app): State<AppState>,
    Extension(peer): Extension<Peer>,
    Path(name): Path<String>,
) -> Result<StatusCode, InputError> {
    app.execute(&peer, Command::CancelTimer(name))?;
    Ok(StatusCode::NO_CONTENT)
}
