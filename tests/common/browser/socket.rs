//! The WebSocket of a browser, on which it takes commands and tells events. WebDriver BiDi and the DevTools protocol have
//! the same form.

use std::cell::{Cell, RefCell};
use std::mem;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::common::LIMIT;

pub struct Socket {
    stream: Mutex<WebSocketStream<TcpStream>>,
    /// The number of the last command.
    number: Cell<u64>,
    events: RefCell<Vec<Value>>,
}

impl Socket {
    /// That of the browser that listens on this port, at this path.
    pub async fn of(port: u16, path: &str) -> Socket {
        let address = format!("127.0.0.1:{port}");
        let stream = TcpStream::connect(&address).await.unwrap();
        let url = format!("ws://{address}{path}");
        let (stream, _) = client_async(url, stream).await.unwrap();
        Socket {
            stream: Mutex::new(stream),
            number: Cell::default(),
            events: RefCell::default(),
        }
    }

    /// Gives a command, and waits for its result, or for the error's message.
    pub async fn call(&self, command: Value) -> Result<Value, String> {
        self.call_within(LIMIT, command).await
    }

    pub async fn call_within(&self, limit: Duration, mut command: Value) -> Result<Value, String> {
        let number = self.number.get() + 1;
        self.number.set(number);
        command["id"] = number.into();
        let answer = timeout(limit, self.answer(number, &command)).await;
        let mut answer = answer.unwrap_or_else(|_| panic!("{command}: not within {limit:?}"));
        match answer.get_mut("result") {
            Some(result) => Ok(result.take()),
            None => Err(answer.to_string()),
        }
    }

    async fn answer(&self, number: u64, command: &Value) -> Value {
        let mut stream = self.stream.lock().await;
        let text = Message::text(command.to_string());
        stream.send(text).await.unwrap();
        loop {
            let message = next(&mut stream).await;
            if message["id"] == number {
                return message;
            }
            self.events.borrow_mut().push(message);
        }
    }

    /// The events that were not returned before, and came before the answer to the last command.
    pub fn events(&self) -> Vec<Value> {
        mem::take(&mut self.events.borrow_mut())
    }
}

/// The next JSON.
async fn next(stream: &mut WebSocketStream<TcpStream>) -> Value {
    loop {
        let message = stream.next().await.expect("the browser runs").unwrap();
        if let Message::Text(text) = message {
            return serde_json::from_str(&text).unwrap();
        }
    }
}
