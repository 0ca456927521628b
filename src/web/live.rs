//! `/ws` and the fan-out: clients that are told every change as it happens.

pub mod fanout;
pub mod fleet_view;
pub mod selection;
pub mod shared_stream;
pub mod socket;
