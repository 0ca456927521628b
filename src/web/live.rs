//! `/ws` and the fan-out: clients that are sent every change as it happens.
//!
//! Two state machines have to agree: what a client shows and whether it lags ([`client_view`]), and the
//! bytes of its connection that have not been written yet ([`shared_stream`]). What keeps them right:
//!
//! - **Lock order**: the list of subscribers, then one client's view, then the lights (or presets,
//!   timers, fleet, activity), then one client's stream. No lock is held across an await.
//! - **One view, one change**: a client's own change is made and marked as shown while its view is
//!   locked, so the fan-out can never send it back.
//! - **Who writes**: while a client does not lag, only the fan-out's loop writes updates to it. If the
//!   stream does not take everything at once, the client lags: from then on only the client's own task
//!   writes, until the stream is empty and the view is current.
//! - **Whole frames**: several tasks write to one connection, so each write has to be a whole number of
//!   frames. Through axum's socket may only go what fits into a single write of it
//!   (less than [`shared_stream::MAX_WRITE`]): pings, pongs and the close frame.
//! - **Wakes**: a change of a watched value wakes the loop; `lagging` wakes the client's task;
//!   the kernel wakes whoever polled the stream last, which has to stay the task that flushes it, so
//!   [`SharedStream::send`](shared_stream::SharedStream::send) never polls while somebody flushes.
//! - **Socket.IO** takes the stream out of its requests: what stays in a request lives as long as the
//!   client, and would keep polled connections open.

pub mod client_view;
pub mod fanout;
pub mod fleet_view;
pub mod selection;
pub mod shared_stream;
pub mod socket;
