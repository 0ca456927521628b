//! The messages that clients and the service exchange, as types: over `/ws`, the REST API and MQTT.
//!
//! [`fields`] describes every field of a request once: the parser, the errors, the OpenAPI document and
//! the tables of docs/wire.md agree with it.

pub mod fields;
pub mod input_error;
pub mod light_change;
pub mod request;
pub mod resource;
pub mod server_message;
pub mod timer_request;

/// Largest message from a client and largest body of a request, in bytes.
pub const MAX_MESSAGE: usize = 4096;
