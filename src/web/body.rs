//! Request bodies of at most 4 KiB, with error responses in JSON.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use axum::response::Response;
use serde::de::DeserializeOwned;

use super::response::error;
use crate::protocol::{self, BadInput};

/// The bytes of a request's body, 4 KiB at most.
pub struct Body(pub Bytes);

impl Body {
    /// What it says, if there is anything in it.
    pub fn read<T: DeserializeOwned>(&self) -> Result<Option<T>, BadInput> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let read = serde_json::from_slice(&self.0);
        read.map(Some)
            .map_err(|error| BadInput::Malformed(error.to_string()))
    }
}

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
