//! Who causes a change: [`Actor`].

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

/// Who causes a change. A client cannot pass for a timer or a button by its name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Actor {
    /// A connected client: the web page, or a program.
    Client {
        /// Identifies the connection; never used twice while the service runs.
        number: u64,
        /// The remote address.
        address: IpAddr,
        /// The name that the client gave itself.
        name: Option<Arc<str>>,
    },
    /// A request to the REST API from this address.
    Api(IpAddr),
    /// A command from the MQTT broker.
    Mqtt,
    /// A controller of Matter, with the name that it gave its fabric.
    Matter(Option<Arc<str>>),
    /// A timer that was due.
    Timer,
    /// A button on the wall.
    Button,
}

/// Where changes come from, whatever connection they come by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// Clients and requests of this address.
    Address(IpAddr),
    /// An input without addresses, as [`Actor::via`] calls it.
    Input(&'static str),
}

impl Actor {
    /// Where the actor's changes come from.
    pub fn source(&self) -> Source {
        match self {
            Actor::Client { address, .. } | Actor::Api(address) => Source::Address(*address),
            Actor::Mqtt | Actor::Matter(_) | Actor::Timer | Actor::Button => {
                Source::Input(self.via().unwrap_or_default())
            }
        }
    }

    /// The name that a client gave itself, or a controller its fabric.
    pub fn name(&self) -> Option<&Arc<str>> {
        match self {
            Actor::Client { name, .. } | Actor::Matter(name) => name.as_ref(),
            _ => None,
        }
    }

    /// The input that a change came by, unless that is a client.
    pub fn via(&self) -> Option<&'static str> {
        match self {
            Actor::Client { .. } => None,
            Actor::Api(_) => Some("api"),
            Actor::Mqtt => Some("mqtt"),
            Actor::Matter(_) => Some("matter"),
            Actor::Timer => Some("timer"),
            Actor::Button => Some("button"),
        }
    }

    /// The same actor without its name, which a client may change at any time.
    pub fn without_name(&self) -> Actor {
        match *self {
            Actor::Client {
                number, address, ..
            } => Actor::Client {
                number,
                address,
                name: None,
            },
            ref other => other.clone(),
        }
    }
}

/// The form in the log.
impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Actor::Client { address, name, .. } => {
                write!(f, "{} ({address})", name.as_deref().unwrap_or("a client"))
            }
            Actor::Api(address) => write!(f, "the API ({address})"),
            Actor::Mqtt => f.write_str("MQTT"),
            Actor::Matter(name) => {
                write!(f, "{} (Matter)", name.as_deref().unwrap_or("a controller"))
            }
            Actor::Timer => f.write_str("a timer"),
            Actor::Button => f.write_str("a button"),
        }
    }
}
