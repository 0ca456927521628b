//! `/ca.crt`: the certificate of the authority that has issued that of the service, for phones to trust.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::platform::tls::Tls;

/// The type that phones offer to install.
const MEDIA_TYPE: &str = "application/x-x509-ca-cert";

/// The route of the certificate.
pub fn router(tls: Arc<Tls>) -> Router {
    Router::new().route("/ca.crt", get(show)).with_state(tls)
}

async fn show(State(tls): State<Arc<Tls>>) -> Response {
    match tls.authority() {
        Some(certificate) => {
            let headers = [(CONTENT_TYPE, MEDIA_TYPE), (CACHE_CONTROL, "no-cache")];
            (headers, certificate).into_response()
        }
        None => {
            let text =
                "There is no authority of this machine's own: dimmer certificate makes one.\n";
            (StatusCode::NOT_FOUND, text).into_response()
        }
    }
}
