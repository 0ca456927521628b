//! `/api/openapi.json`: the description of the API for programs, in the form of OpenAPI 3.1.
//!
//! The document is static, so that it costs neither time nor memory; a test holds it against the types
//! and fields in [`crate::protocol`].

use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;

const DOCUMENT: &str = include_str!("openapi.json");

pub async fn document() -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], DOCUMENT)
}
