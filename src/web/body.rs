//! Request bodies of at most 4 KiB, with error responses in JSON.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use axum::response::Response;

use super::response::error;
use crate::protocol;

/// A request's body, whatever its `Content-Type`.
pub struct Body(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Body, Response> {
        let read = Bytes::from_request(request, state).await;
        read.map(Body).map_err(|rejection| {
            let message = match rejection.status() {
                StatusCode::PAYLOAD_TOO_LARGE => {
                    format!("a body must have at most {} bytes", protocol::MAX_MESSAGE)
                }
                _ => rejection.body_text(),
            };
            error(rejection.status(), message)
        })
    }
}
