//! Log messages about connections that fail and commands that are bad.

use std::io::ErrorKind;
use std::time::Duration;

use rumqttc::{ConnectReturnCode, ConnectionError, StateError, TlsError};
use tokio::time::Instant;
use tracing::warn;

use crate::config::MqttConfig;
use crate::protocol::input_error::InputError;

/// Shortest time between two lines about bad commands.
const LOG_INTERVAL: Duration = Duration::from_secs(10);
/// Longest error in characters: it may quote the command.
const MAX_ERROR: usize = 200;

/// Says why there is no connection, and what to do about that.
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
            format!(
                "the TLS handshake failed: {error}; ca in [mqtt] names the PEM file with the certificate of the broker, or of its issuer"
            )
        }
        ConnectionError::Io(error) => format!("cannot connect: {error}"),
        other => other.to_string(),
    }
}

fn closed(config: &MqttConfig) -> String {
    format!(
        "the broker closed the connection; if it does so again and again, another dimmer may have the node {:?}, too",
        config.node
    )
}

/// Logs bad commands, at most one in each [`LOG_INTERVAL`], so that a flood does not fill the log.
#[derive(Default)]
pub struct BadCommandLog {
    last: Option<Instant>,
    /// Bad commands since then.
    skipped: u32,
}

impl BadCommandLog {
    /// Logs a bad command, or counts it.
    pub fn add(&mut self, topic: &str, error: &InputError) {
        if self.last.is_some_and(|last| last.elapsed() < LOG_INTERVAL) {
            self.skipped += 1;
            return;
        }
        let error: String = error.to_string().chars().take(MAX_ERROR).collect();
        match self.skipped {
            0 => warn!("mqtt: {topic:?}: {error}"),
            skipped => warn!("mqtt: {topic:?}: {error}; and {skipped} bad commands before"),
        }
        (self.last, self.skipped) = (Some(Instant::now()), 0);
    }
}
