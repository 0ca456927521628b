//! `/api/openapi.json`: the API for programs, as OpenAPI 3.1.
//!
//! The document is a static file, so that it costs neither time nor memory. A test generates it from the
//! descriptions in [`crate::protocol`], and fails if the file differs. To write the file:
//! `DIMMER_WRITE_OPENAPI=1 cargo test --lib openapi`.

#[cfg(test)]
mod document;
#[cfg(test)]
mod schemas;
#[cfg(test)]
mod tests;

use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;

const DOCUMENT: &str = include_str!("openapi.json");

pub async fn document() -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], DOCUMENT)
}
