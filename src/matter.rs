//! Makes this dimmer a bridge of Matter, so that the home apps of phones control its lights without a broker.
//!
//! rs-matter does the protocol; its interface changes often, so nothing outside this folder knows it. The clusters here
//! translate to commands of the hub, and [`reports`] tells subscribers what has changed.

mod bridge;
mod bridged_info;
mod disk;
mod endpoints;
mod identify;
mod identity;
mod level;
mod level_control;
mod mdns;
mod node;
mod on_off;
mod reports;
mod requests;
mod socket;
mod stack;

/// The futures of the stack are large. Only what is used of this is memory.
pub const STACK_SIZE: usize = 8 << 20;

pub use stack::run;
