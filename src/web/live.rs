//! `/ws` and the fan-out: clients that are sent every change as it happens.
//!
//! [`socket`] has a task for each client, which reads what the client sends; [`fanout`] has one loop for
//! all clients, which writes the updates. Two state machines have to agree: what a client shows and
//! whether it lags ([`client_view`]), and the bytes of its connection that have not been written yet
//! ([`shared_stream`]). What keeps them right:
//!
//! - **Lock order**: the list of subscribers, then one client's view, then the activity's pending entries,
//!   then one watched value at a time (lights, presets, timers, settings, activity, fleet, the count of clients), or one
//!   client's stream. No watched
//!   value is locked while a stream is, and no lock is held across an await.
//! - **One view, one change**: a client's own change is made and marked as shown while its view is
//!   locked, so no update can send it back.
//! - **Who writes**: only whoever has locked a client's view sends it updates and responses. While the
//!   client does not lag, both the fan-out's loop and the client's own task do so: the loop after a change,
//!   the task after a frame from the client. If the stream does not write everything at once, the client
//!   lags: from then on the loop skips it, and only its own task writes, until nothing is unsent and the
//!   view is current. A client begins as lagging, so its task sends the hello before any update.
//! - **Whole frames**: the loop and axum's socket write to one connection, so each write has to be a whole
//!   number of frames. [`SharedStream::send`](shared_stream::SharedStream::send) accepts everything, axum's
//!   socket at most [`shared_stream::MAX_WRITE`] at a time. So only what fits into one such write goes
//!   through axum's socket: pings, pongs and the close frame.
//! - **Wakes**: a change of a watched value wakes the loop;
//!   [`Subscription::lagging`](fanout::Subscription::lagging) wakes the client's task; a connection that can
//!   take more bytes wakes only the task that last polled it for writing. That has to be the task that flushes it, so
//!   `SharedStream::send` does not poll while bytes are unsent or a flush has not completed.
//! - **Socket.IO** removes the stream from its requests: the library keeps the extensions of a client's
//!   first request as long as the client, and a connection that was polled once would stay open as long.

pub mod client_view;
pub mod fanout;
pub mod fleet_view;
pub mod selection;
pub mod shared_stream;
pub mod socket;
