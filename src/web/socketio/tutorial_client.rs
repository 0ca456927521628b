//! What the clients of the tutorials ask for.

use futures_util::FutureExt;
use serde_json::{Value, json};
use socketioxide::extract::SocketRef;
use tracing::debug;

use crate::model::activity::Participant;
use crate::model::actor::Actor;
use crate::model::command::{Command, Target};
use crate::model::hub::Hub;
use crate::model::level::Level;
use crate::model::lights::{Change, LightId};
use crate::model::text::{Name, Remark};
use crate::protocol::fields::MSG;
use crate::protocol::input_error::InputError;
use crate::protocol::request::{ClientMessage, Request};
use crate::web::limiter::Permit;
use crate::web::live::selection::Selection;
use crate::web::state::AppState;

/// The light whose level the tutorials show and set.
pub const LIGHT: LightId = LightId::FIRST;

/// A client of a tutorial.
pub struct TutorialClient {
    app: AppState,
    participant: Participant,
    selection: Selection,
}

impl TutorialClient {
    pub fn new(app: AppState, permit: &Permit) -> TutorialClient {
        TutorialClient {
            participant: app.hub.activity.join(permit.number, permit.address),
            selection: Selection::new(&app.hub.lights),
            app,
        }
    }

    /// Handles `led`, `{"level": 42}`: a level is clamped to its range, as the tutorial's server does.
    pub fn led(&self, data: &Value) -> Result<(), InputError> {
        let percent = match &data["level"] {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        let level = percent
            .filter(|percent| percent.is_finite())
            .and_then(|percent: f64| Level::from_percent(percent.clamp(0.0, 100.0)).ok())
            .ok_or_else(|| {
                let why = format!("level must be a number, or a string holding one, in {data}");
                InputError::malformed(why)
            })?;
        set_level(&self.app.hub, &self.participant.actor(), level)
    }

    /// Handles `message`: a text, or a command of the arrows with a text, `{"msg": …, "command": "up"}`.
    /// All clients are sent the answers of the tutorials' servers; beyond the allowance of remarks, only
    /// the sender is.
    pub fn message(&mut self, socket: &SocketRef, data: &Value) -> Result<(), InputError> {
        let text = match data {
            Value::String(text) => text,
            _ => {
                self.command(data)?;
                data[MSG.name].as_str().unwrap_or_default()
            }
        };
        // The tutorial's text begins and ends with a line break.
        let text = text.trim();
        if let Some(Ok(name)) = own_name(text).map(Name::new) {
            self.participant.rename(name);
        }
        let remark = Remark::new(text).ok();
        let is_for_all = remark.is_some_and(|remark| self.participant.say(remark).is_ok());
        let received = json!({ "data": format!("Server received: {text}") });
        send(socket, is_for_all, "response", &received);
        if data.is_string() {
            send(socket, is_for_all, "message", &"Olá".into());
        }
        Ok(())
    }

    fn command(&mut self, data: &Value) -> Result<(), InputError> {
        match ClientMessage::parse(&data.to_string()).request? {
            Request::ChangeSelected(wanted) => {
                let command = Command::Change {
                    target: Target::Own(self.selection.light()),
                    change: wanted.change,
                    transition: wanted.transition,
                };
                self.app.hub.execute(&self.participant.actor(), command)?;
            }
            Request::Select(direction) => self.selection.move_by(direction, &self.app.hub.lights),
            _ => return Err(InputError::malformed("a message is a text or a command")),
        }
        Ok(())
    }
}

/// The name in the simple client's greeting, `Cliente Bia connectado...`.
fn own_name(text: &str) -> Option<&str> {
    let (name, _) = text.strip_prefix("Cliente ")?.split_once(" connectado")?;
    Some(name)
}

/// Sends an event to this client, and to all others if it is for all. Who does not read misses it: there is no room
/// for it then.
fn send(socket: &SocketRef, is_for_all: bool, event: &str, data: &Value) {
    let _ = socket.emit(event, data);
    if is_for_all
        && socket
            .broadcast()
            .emit(event, data)
            .now_or_never()
            .is_none()
    {
        debug!("{event} was not sent to all Socket.IO clients");
    }
}

/// Sets the level of the tutorials' light.
pub fn set_level(hub: &Hub, actor: &Actor, level: Level) -> Result<(), InputError> {
    let command = Command::Change {
        target: Target::Own(LIGHT),
        change: Change::Level(level),
        transition: None,
    };
    hub.execute(actor, command)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_greeting_has_the_name_of_its_sender() {
        assert_eq!(own_name("Cliente Bia connectado.."), Some("Bia"));
        assert_eq!(own_name("Cliente Ana Rita connectado…"), Some("Ana Rita"));
        for other in ["Cliente Bia", "Bia connectado", "olá"] {
            assert_eq!(own_name(other), None);
        }
    }
}
