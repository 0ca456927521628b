//! A chat with names, over Socket.IO: a page to give one's name, and a page to talk.
//!
//!     cargo run --example chat    serves on 127.0.0.1:5002, or on the address given
//!
//! It answers the pages of the usual Flask chat: a name is posted to `/`, which leads to `/chat`; `new_host` with a name
//! is sent to all as `host_join_room`, `new_message` as `add_chat_message`, with name, text, time and address. Flask's
//! server believes what it is sent; here a name belongs to one member, and `host_leave_room` tells who has left.

use std::collections::HashMap;
use std::env;
use std::future::ready;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use anyhow::Context;
use axum::Router;
use axum::extract::ConnectInfo;
use axum::http::{StatusCode, header::SET_COOKIE};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::get;
use form_urlencoded::{byte_serialize, parse};
use futures_util::FutureExt;
use jiff::Zoned;
use serde_json::{Value, json};
use socketioxide::extract::{Data, SocketRef};
use socketioxide::socket::Sid;
use socketioxide::{ParserConfig, SocketIo};
use tokio::net::TcpListener;

const NAME: &str = "name must have 1 to 40 characters, and nobody else may have it";
type Handle = fn(&Members, &SocketRef, &Value);
const EVENTS: [(&str, Handle); 2] = [
    ("new_host", Members::enter),
    ("new_message", Members::speak),
];
const HELD: &str = "nobody panics with the lock";

/// Who is in the chat.
#[derive(Default)]
struct Members(Mutex<HashMap<Sid, String>>);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let address = env::args().nth(1).unwrap_or("127.0.0.1:5002".into());
    let listener = TcpListener::bind(&address).await.context(address)?;
    println!("listening on http://{}", listener.local_addr()?);
    let (layer, io) = SocketIo::builder()
        .max_payload(4096)
        .ws_max_message_size(4096)
        .with_parser(ParserConfig::common().max_incoming_binaries(0))
        .build_layer();
    let members = Arc::new(Members::default());
    // The library would spawn what a handler returns, and so might handle an event before those of its sender that came
    // earlier, or before there is a handler for it. So everything is done at once, and nothing is left to spawn.
    io.ns("/", move |socket: SocketRef| {
        for (event, handle) in EVENTS {
            let here = members.clone();
            socket.on(event, move |socket: SocketRef, Data(data): Data<Value>| {
                handle(&here, &socket, &data);
                ready(())
            });
        }
        socket.on_disconnect(move |socket: SocketRef| {
            members.leave(&socket);
            ready(())
        });
        ready(())
    });
    let router = Router::new()
        .route("/", get(Html(include_str!("chat_login.html"))).post(log_in))
        .route("/chat", get(Html(include_str!("chat.html"))))
        .layer(layer);
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    Ok(axum::serve(listener, service).await?)
}

/// Keeps the name, the form's only field whatever a tutorial calls it, in a cookie for the page to read.
async fn log_in(form: String) -> Response {
    let name = parse(form.as_bytes()).next().map(|(_, name)| name);
    let Some(name) = name.as_deref().and_then(checked) else {
        return (StatusCode::BAD_REQUEST, NAME).into_response();
    };
    let name: String = byte_serialize(name.as_bytes()).collect();
    let cookie = format!("name={name}; Path=/; SameSite=Strict");
    ([(SET_COOKIE, cookie)], Redirect::to("/chat")).into_response()
}

fn checked(name: &str) -> Option<&str> {
    let name = name.trim();
    let plain = !name.chars().any(char::is_control);
    (plain && (1..=40).contains(&name.chars().count())).then_some(name)
}

/// The text of an event, which is either the text itself or an object with one of these fields.
fn text<'a>(data: &'a Value, fields: &[&str]) -> Option<&'a str> {
    let field = || fields.iter().find_map(|field| data[field].as_str());
    data.as_str().or_else(field)
}

impl Members {
    fn enter(&self, socket: &SocketRef, data: &Value) {
        match text(data, &["name", "host", "username"]).and_then(checked) {
            Some(name) if self.take(socket.id, name) => {
                let message = format!("{name} entrou na sala!");
                tell_all(socket, "host_join_room", name, &message);
            }
            _ => drop(socket.emit("refused", NAME)),
        }
    }

    /// Gives a member the name if nobody else has it. Both is one step, so two members cannot get one name.
    fn take(&self, id: Sid, name: &str) -> bool {
        let mut members = self.0.lock().expect(HELD);
        let free = !members.values().any(|taken| taken == name);
        if free {
            members.insert(id, name.into());
        }
        free
    }

    fn speak(&self, socket: &SocketRef, data: &Value) {
        let name = self.0.lock().expect(HELD).get(&socket.id).cloned();
        match (name, text(data, &["message", "msg", "text"])) {
            (None, _) => drop(socket.emit("refused", "give your name first, by new_host")),
            (_, None) => drop(socket.emit("refused", "message must be a text")),
            (Some(name), Some(text)) => tell_all(socket, "add_chat_message", &name, text),
        }
    }

    fn leave(&self, socket: &SocketRef) {
        let name = self.0.lock().expect(HELD).remove(&socket.id);
        if let Some(name) = name {
            let message = format!("{name} saiu da sala.");
            tell_all(socket, "host_leave_room", &name, &message);
        }
    }
}

/// Sends an event to all, the sender too. Who is too slow to have room for it misses it, and holds up nobody.
fn tell_all(socket: &SocketRef, event: &str, name: &str, message: &str) {
    let from = &socket.req_parts().extensions;
    let from = from.get().map(|ConnectInfo::<SocketAddr>(from)| from.ip());
    let address = from.unwrap_or([0; 4].into());
    let time = Zoned::now().strftime("%H:%M:%S").to_string();
    println!("{time} {name:?} ({address}): {event} {message:?}");
    let data = json!({ "name": name, "message": message, "time": time, "ip": address });
    let _ = socket.broadcast().emit(event, &data).now_or_never();
    let _ = socket.emit(event, &data);
}
