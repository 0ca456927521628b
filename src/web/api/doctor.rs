//! `/api/doctor`.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use tokio::task;

use crate::web::state::AppState;

pub fn router() -> Router<AppState> {
    Router::new().route("/api/doctor", get(diagnose))
}

async fn diagnose(State(app): State<AppState>) -> Response {
    let permit = app.consultation.acquire_owned().await;
    let diagnose = move || {
        // Kept until the end, also if the client is gone by then.
        let _permit = permit;
        (app.doctor)()
    };
    let diagnosis = task::spawn_blocking(diagnose).await;
    // A panic goes on in the task of the connection, which is watched.
    Json(diagnosis.expect("the pins were not looked at")).into_response()
}
