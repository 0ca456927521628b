//! The state of the service and every change to it, without a network, a disk or a pin.
//!
//! Imports nothing from the other layers, so that each rule here is tested without a socket.

pub mod activity;
pub mod actor;
pub mod backup;
pub mod backup_requests;
pub mod command;
pub mod effect;
pub mod fleet;
pub mod hub;
pub mod level;
pub mod lights;
pub mod matter;
pub mod presets;
pub mod range;
pub mod settings;
pub mod tenths;
pub mod text;
pub mod timers;
pub mod transition;
pub mod warmth;
