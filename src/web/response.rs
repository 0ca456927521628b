//! Error responses: a status and one line of JSON.

use std::net::IpAddr;

use axum::http::StatusCode;
use axum::http::header::ALLOW;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};

use super::limiter::LimitReached;
use crate::model::backup_requests::BackupError;
use crate::model::command::CommandError;
use crate::model::matter::MatterError;
use crate::model::presets::PresetError;
use crate::model::settings::SettingError;
use crate::model::timers::TimerError;
use crate::protocol::input_error::InputError;
use crate::protocol::resource::{ErrorResource, RefusalCode};

/// A response with this status, and this message as JSON.
pub fn error(status: StatusCode, error: String) -> Response {
    let code = None;
    (status, Json(ErrorResource { error, code })).into_response()
}

/// What a refusal says: an extension of its response, for the log.
#[derive(Clone)]
pub struct Refused(pub String);

/// A response to a client that is not served. The code is for the page, which says it in the words of its language.
pub fn refusal(status: StatusCode, code: RefusalCode, error: String) -> Response {
    let refused = Extension(Refused(error.clone()));
    let code = Some(code);
    (status, refused, Json(ErrorResource { error, code })).into_response()
}

/// Says in words which methods a path has, where a request has another.
pub async fn name_methods(response: Response) -> Response {
    if response.status() != StatusCode::METHOD_NOT_ALLOWED {
        return response;
    }
    let allowed = response.headers().get(ALLOW).cloned();
    let methods = allowed.as_ref().and_then(|value| value.to_str().ok());
    let methods = methods.unwrap_or_default().replace(',', ", ");
    let message = format!("the method must be one of {methods}");
    let allowed = allowed.map(|allowed| [(ALLOW, allowed)]);
    (allowed, error(StatusCode::METHOD_NOT_ALLOWED, message)).into_response()
}

/// The response to a client beyond the limits, which names the setting.
pub fn too_many_clients(reached: LimitReached, address: IpAddr) -> Response {
    let (code, message) = match reached {
        LimitReached::Total => (
            RefusalCode::MaxPages,
            "too many open pages; see max_pages".into(),
        ),
        LimitReached::PerAddress => (
            RefusalCode::MaxPagesPerAddress,
            format!("too many open pages from {address}; see max_pages_per_address"),
        ),
    };
    refusal(StatusCode::SERVICE_UNAVAILABLE, code, message)
}

impl IntoResponse for BackupError {
    fn into_response(self) -> Response {
        let status = match &self {
            BackupError::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            BackupError::Malformed(_) => StatusCode::BAD_REQUEST,
            BackupError::OutOfRange(_) | BackupError::Command(_) => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
        };
        error(status, self.to_string())
    }
}

impl IntoResponse for MatterError {
    fn into_response(self) -> Response {
        let status = match &self {
            MatterError::NoSuchFabric(_) => StatusCode::NOT_FOUND,
            MatterError::Off | MatterError::Closed => StatusCode::CONFLICT,
            MatterError::NotOnLan => StatusCode::FORBIDDEN,
            MatterError::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        error(status, self.to_string())
    }
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
            InputError::Command(CommandError::Setting(
                SettingError::Locked | SettingError::Tried(_),
            )) => StatusCode::CONFLICT,
            InputError::OutOfRange(_) | InputError::Remark(_) | InputError::Command(_) => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
        };
        error(status, self.to_string())
    }
}
