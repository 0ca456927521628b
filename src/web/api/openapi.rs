//! `/api/openapi.json`: the API for programs, as OpenAPI 3.1.
//!
//! The document is a static file, so that it costs neither time nor memory. `document` generates it in a
//! test from the descriptions in [`crate::protocol`]; the test fails when the file is another one.

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
