//! What goes wrong, in words that say what to do.

use std::io::ErrorKind;
use std::time::Duration;

use rumqttc::{ConnectReturnCode, ConnectionError, StateError, TlsError};
use tokio::time::Instant;
use tracing::warn;

use crate::config::MqttConfig;
use crate::protocol::input_error::InputError;

/// Shortest time from one line about bad commands to the next.
const PAUSE: Duration = Duration::from_secs(10);

/// Most characters of a line about one: it may repeat what the command says.
const LENGTH: usize = 200;

/// Why there is no connection, and what to do about it.
pub fn explain(error: &ConnectionError, config: &MqttConfig) -> String {
    use ConnectReturnCode::{BadUserNamePassword, NotAuthorized};
    match error {
        ConnectionError::ConnectionRefused(BadUserNamePassword | NotAuthorized) => match config
            .login
        {
            Some(_) => "the broker refuses the login; check username and password_file in [mqtt]",
            None => "the broker wants a login; set username and password_file in [mqtt]",
        }
        .into(),
        ConnectionError::ConnectionRefused(code) => format!("the broker refuses: {code:?}"),
        ConnectionError::NetworkTimeout | ConnectionError::FlushTimeout => {
            "the broker does not answer".into()
        }
        ConnectionError::MqttState(StateError::AwaitPingResp) => "the broker fell silent".into(),
        ConnectionError::MqttState(StateError::ConnectionAborted) => closed(config),
        ConnectionError::MqttState(StateError::Io(error))
            if matches!(
                error.kind(),
                ErrorKind::UnexpectedEof
                    | ErrorKind::ConnectionReset
                    | ErrorKind::ConnectionAborted
            ) =>
        {
            closed(config)
        }
        ConnectionError::Tls(TlsError::Io(error)) => {
            format!("no TLS: {error}; ca in [mqtt] names the file that vouches for the broker")
        }
        ConnectionError::Io(error) => format!("cannot connect: {error}"),
        other => other.to_string(),
    }
}

fn closed(config: &MqttConfig) -> String {
    format!(
        "the broker closed the connection, as it does where another dimmer has the node {:?}, too",
        config.node
    )
}

/// Complains about bad commands, in a line each, but not of every one in a flood.
#[derive(Default)]
pub struct Complaints {
    last: Option<Instant>,
    left_out: u32,
}

impl Complaints {
    /// Complains about a command.
    pub fn add(&mut self, topic: &str, bad: &InputError) {
        if self.last.is_some_and(|last| last.elapsed() < PAUSE) {
            self.left_out += 1;
            return;
        }
        let bad: String = bad.to_string().chars().take(LENGTH).collect();
        match self.left_out {
            0 => warn!("mqtt: {topic:?}: {bad}"),
            more => warn!("mqtt: {topic:?}: {bad}; and {more} bad commands before"),
        }
        (self.last, self.left_out) = (Some(Instant::now()), 0);
    }
}
