//! Error responses: a status and one line of JSON.

use std::net::IpAddr;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::limiter::LimitReached;
use crate::model::command::CommandError;
use crate::model::presets::PresetError;
use crate::model::timers::TimerError;
use crate::protocol::input_error::InputError;
use crate::protocol::resource::ErrorResource;

/// A response with this status, and this message as JSON.
pub fn error(status: StatusCode, error: String) -> Response {
    (status, Json(ErrorResource { error })).into_response()
}

/// The response to a client beyond the limits, which names the setting.
pub fn too_many_clients(reached: LimitReached, address: IpAddr) -> Response {
    let message = match reached {
        LimitReached::Total => "too many open pages; see max_pages".into(),
        LimitReached::PerAddress => {
            format!("too many open pages from {address}; see max_pages_per_address")
        }
    };
    error(StatusCode::SERVICE_UNAVAILABLE, message)
}

impl IntoResponse for InputError {
    fn into_response(self) -> Response {
        let status = match &self {
            InputError::Malformed(_) => StatusCode::BAD_REQUEST,
            InputError::Command(
                CommandError::NoSuchLight(_)
                | CommandError::Preset(PresetError::NoSuchPreset(_))
                | CommandError::Timer(TimerError::NoSuchTimer(_)),
            ) => StatusCode::NOT_FOUND,
            InputError::OutOfRange(_) | InputError::Remark(_) | InputError::Command(_) => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
        };
        error(status, self.to_string())
    }
}
