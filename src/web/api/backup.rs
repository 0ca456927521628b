//! `/api/backup`.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Extension, Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use futures_util::stream;
use jiff::Zoned;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::model::actor::Actor;
use crate::model::backup::MAX_BACKUP;
use crate::model::backup_requests::BackupError;
use crate::platform::host;
use crate::protocol::resource::RestoredResource;
use crate::web::body;
use crate::web::listener::Peer;
use crate::web::state::AppState;

/// Bytes of a backup that are handed over at once.
const PART: usize = 4096;

pub fn router() -> Router<AppState> {
    Router::new().route("/api/backup", get(make).put(restore).post(restore))
}

async fn make(State(app): State<AppState>) -> Result<Response, BackupError> {
    let permit = permit(app.large_bodies)?;
    let backup = Bytes::from(app.backups.make().await?);
    let mut name = host::own_label();
    name.retain(|letter| letter.is_ascii_alphanumeric() || letter == '-');
    let day = Zoned::now().strftime("%F");
    let headers = [
        (CONTENT_TYPE, "application/json".to_owned()),
        (
            CONTENT_DISPOSITION,
            format!("attachment; filename=\"dimmer-{name}-{day}.json\""),
        ),
        (CACHE_CONTROL, "no-store".to_owned()),
        (CONTENT_LENGTH, backup.len().to_string()),
    ];
    Ok((headers, in_parts(backup, permit)).into_response())
}

async fn restore(
    State(app): State<AppState>,
    Extension(peer): Extension<Peer>,
    request: Request,
) -> Result<Response, Response> {
    let _permit = permit(app.large_bodies).map_err(BackupError::into_response)?;
    let file = body::read(request, MAX_BACKUP).await?;
    let restored = app.backups.restore(file, Actor::Api(peer.address())).await;
    let restored = restored.map_err(BackupError::into_response)?;
    Ok(Json(RestoredResource::from(&restored)).into_response())
}

fn permit(bodies: Arc<Semaphore>) -> Result<OwnedSemaphorePermit, BackupError> {
    let permit = bodies.try_acquire_owned();
    permit.map_err(|_| BackupError::too_many())
}

/// A body that keeps its permit until the client has taken nearly all of it, however slowly that goes.
fn in_parts(bytes: Bytes, permit: OwnedSemaphorePermit) -> Body {
    let parts = stream::unfold((bytes, permit), async |(mut rest, permit)| {
        let part = rest.split_to(rest.len().min(PART));
        (!part.is_empty()).then_some((Ok::<_, Infallible>(part), (rest, permit)))
    });
    Body::from_stream(parts)
}
