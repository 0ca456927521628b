//! Request bodies, of at most 4 KiB unless they are backups, with error responses in JSON.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use axum::response::Response;
use futures_util::StreamExt;

use super::response::error;
use crate::protocol;

/// A request's body, whatever its `Content-Type`.
pub struct Body(pub Bytes);

impl<S: Sync> FromRequest<S> for Body {
    type Rejection = Response;

    async fn from_request(request: Request, _: &S) -> Result<Body, Response> {
        let body = read(request, protocol::MAX_MESSAGE).await?;
        Ok(Body(body.into()))
    }
}

/// Reads a body of at most this many bytes.
pub async fn read(request: Request, most: usize) -> Result<Vec<u8>, Response> {
    let mut parts = request.into_body().into_data_stream();
    // A copy: hyper's part of one byte keeps a buffer of kilobytes, and a client may send as many of these as the
    // body has bytes.
    let mut body = Vec::new();
    while let Some(part) = parts.next().await {
        let part = part.map_err(|broken| {
            let message = format!("cannot read the body of the request: {broken}");
            error(StatusCode::BAD_REQUEST, message)
        })?;
        if body.len() + part.len() > most {
            let message = format!("a body must have at most {most} bytes");
            return Err(error(StatusCode::PAYLOAD_TOO_LARGE, message));
        }
        body.extend_from_slice(&part);
    }
    Ok(body)
}
