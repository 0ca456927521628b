//! The messages that clients and the service exchange, as types: over `/ws`, the REST API and MQTT.
//!
//! `fields` describes the fields of messages, changes and timers once: the parser, the errors, the OpenAPI
//! document and the tables of docs/wire.md agree with it. Bodies of presets are described by the types in
//! `preset_request`.

#[cfg(test)]
mod documentation;
pub(crate) mod fields;
pub(crate) mod input_error;
pub(crate) mod light_change;
pub(crate) mod matter_resource;
mod preset_request;
pub mod request;
pub(crate) mod resource;
#[cfg(test)]
pub(crate) mod samples;
pub mod server_message;
pub(crate) mod settings_request;
pub(crate) mod timer_request;

/// Largest message from a client and largest body of a request, in bytes.
pub const MAX_MESSAGE: usize = 4096;
/// The error of a path that the API does not have.
pub const NO_SUCH_PATH: &str = "the API has no such path";
