//! What inputs know of Matter, and what they may ask of it: [`Matter`].
//!
//! The stack runs elsewhere and publishes a watched [`MatterState`]; requests reach it by a channel, and are answered.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, timeout};

/// Longest wait for the stack, which may be waiting for the disk.
const MAX_WAIT: Duration = Duration::from_secs(5);
/// The most requests that wait for the stack.
const MAX_WAITING: usize = 16;
/// How long new controllers can pair once that is allowed. The specification allows 3 to 15 minutes.
pub const WINDOW: Duration = Duration::from_secs(15 * 60);

/// What is paired, and whether more can be.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MatterState {
    /// Whether new controllers can pair.
    pub window: Window,
    /// The fabrics that control the lights, in the order of their indexes.
    pub fabrics: Vec<Fabric>,
}

/// Whether new controllers can pair.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Window {
    /// They cannot.
    #[default]
    Closed,
    /// They can, until then, with these codes.
    Open {
        /// When it ends.
        until: Instant,
        /// What they need for it.
        codes: Codes,
    },
    /// They can, with codes that a controller shows, which is paired and has allowed it.
    OpenByController,
}

/// What a new controller needs to pair.
#[derive(Debug, Clone, PartialEq)]
pub struct Codes {
    /// The text of the QR code, `MT:…`.
    pub qr: Arc<str>,
    /// The same to type in: 11 digits, as 4-3-4.
    pub manual: Arc<str>,
}

/// A home of a controller: all devices that one has paired.
#[derive(Debug, Clone, PartialEq)]
pub struct Fabric {
    /// Identifies it here: 1 to 254.
    pub index: u8,
    /// The name that its controller gave it; often empty.
    pub label: Arc<str>,
    /// The vendor of its controller, as registered with the Connectivity Standards Alliance.
    pub vendor: u16,
}

/// What is asked of the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PairingCommand {
    /// Let new controllers pair for [`WINDOW`].
    Open,
    /// Let no more pair.
    Close,
    /// Forget the fabric of this index: it no longer controls the lights.
    Remove(u8),
    /// Forget all fabrics, and let new controllers pair.
    Reset,
}

/// Why the stack has not done it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum MatterError {
    /// No fabric has this index.
    #[error("no fabric has the index {0}")]
    NoSuchFabric(u8),
    /// The settings do not have it.
    #[error(
        "Matter is off: set enabled = true in [matter] of the settings file, and restart dimmer"
    )]
    Off,
    /// No new controllers can pair.
    #[error("Matter: nothing can be paired now; open it first")]
    Closed,
    /// The request is from somewhere else.
    #[error("only from the LAN, without a proxy: who pairs it controls the lights for ever")]
    NotOnLan,
    /// It cannot do it now.
    #[error("Matter: {0}")]
    Unavailable(String),
}

/// A command, with where the answer goes.
pub type MatterRequest = (PairingCommand, oneshot::Sender<Result<(), MatterError>>);

/// Asks Matter, and follows its state.
#[derive(Clone)]
pub struct Matter {
    requests: mpsc::Sender<MatterRequest>,
    state: watch::Receiver<MatterState>,
}

/// The other end, for the stack.
pub struct MatterEnd {
    /// What is asked.
    pub requests: mpsc::Receiver<MatterRequest>,
    /// Where to publish the state.
    pub state: watch::Sender<MatterState>,
}

impl Matter {
    /// With the end for the stack.
    pub fn new() -> (Matter, MatterEnd) {
        let (sender, requests) = mpsc::channel(MAX_WAITING);
        let (state, receiver) = watch::channel(MatterState::default());
        let matter = Matter {
            requests: sender,
            state: receiver,
        };
        (matter, MatterEnd { requests, state })
    }

    /// The state now.
    pub fn state(&self) -> MatterState {
        self.state.borrow().clone()
    }

    /// Asks for this, and waits until it is done and kept.
    ///
    /// # Errors
    /// [`MatterError`]; nothing has changed then.
    pub async fn ask(&self, command: PairingCommand) -> Result<(), MatterError> {
        let unavailable = |why: &str| MatterError::Unavailable(why.into());
        let (answer, answered) = oneshot::channel();
        self.requests
            .try_send((command, answer))
            .map_err(|_| unavailable("too many requests at once; try again later"))?;
        match timeout(MAX_WAIT, answered).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(unavailable("the service stops")),
            Err(_) => Err(unavailable("the disk does not answer; try again later")),
        }
    }
}
