//! The examples do what they teach: each is started as a reader starts it, and used.

use std::env;
use std::io::{BufRead, BufReader, Cursor, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{LazyLock, mpsc};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::common::LIMIT;
use futures_util::{SinkExt, StreamExt};
use image::{DynamicImage, ImageFormat, Rgba, RgbaImage};
use serde_json::{Value, json};
use socket2::SockRef;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async, client_async_with_config};

const MIB: usize = 1024 * 1024;

/// The examples, built from the sources as they are now: `cargo test --test service` builds none by itself.
static BUILT: LazyLock<PathBuf> = LazyLock::new(|| {
    let mut cargo = Command::new(env!("CARGO"));
    for (variable, _) in env::vars_os() {
        // Cargo has set these for this test; ring would be rebuilt whenever they change.
        let name = variable.to_string_lossy();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            cargo.env_remove(variable);
        }
    }
    let profile = if cfg!(debug_assertions) {
        "dev"
    } else {
        "release"
    };
    cargo.args([
        "build",
        "--quiet",
        "--locked",
        "--examples",
        "--profile",
        profile,
    ]);
    assert!(cargo.status().unwrap().success());
    // The folder beside deps/, where this test is.
    let test = env::current_exe().unwrap();
    test.ancestors().nth(2).unwrap().join("examples")
});

fn example(name: &str) -> Command {
    Command::new(BUILT.join(name))
}

/// A running example. It is killed when dropped.
struct Example {
    child: Child,
    address: SocketAddr,
}

impl Example {
    fn start(name: &str) -> Example {
        let mut child = example(name)
            .arg("127.0.0.1:0")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on http://").unwrap();
        let address = address.parse().unwrap();
        Example { child, address }
    }

    async fn page(&self) -> String {
        let page = reqwest::get(format!("http://{}/", self.address)).await;
        page.unwrap().text().await.unwrap()
    }

    async fn socket(&self) -> Socket {
        self.socket_with(None).await
    }

    /// With a receive buffer of this many bytes, and small segments, so that little is on the way to a client that
    /// does not read.
    async fn socket_with(&self, buffer: Option<u32>) -> Socket {
        let socket = TcpSocket::new_v4().unwrap();
        if let Some(bytes) = buffer {
            socket.set_recv_buffer_size(bytes).unwrap();
            SockRef::from(&socket).set_tcp_mss(536).unwrap();
        }
        let stream = socket.connect(self.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let url = format!("ws://{}/ws", self.address);
        let unlimited = WebSocketConfig::default()
            .max_message_size(None)
            .max_frame_size(None);
        let opened = client_async_with_config(url, stream, Some(unlimited)).await;
        Socket(opened.unwrap().0)
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Socket(WebSocketStream<TcpStream>);

impl Socket {
    async fn send(&mut self, message: impl Into<Message>) {
        let sent = timeout(LIMIT, self.0.send(message.into())).await;
        sent.expect("the example takes nothing").unwrap();
    }

    async fn next(&mut self) -> Message {
        let next = timeout(LIMIT, self.0.next()).await;
        next.expect("the example says nothing").unwrap().unwrap()
    }

    async fn text(&mut self) -> String {
        self.next().await.into_text().unwrap().to_string()
    }

    async fn json(&mut self) -> Value {
        serde_json::from_str(&self.text().await).unwrap()
    }

    /// The next text that contains these words.
    async fn text_with(&mut self, words: &str) -> String {
        loop {
            let text = self.text().await;
            if text.contains(words) {
                return text;
            }
        }
    }
}

#[tokio::test]
async fn echo_returns_text_and_bytes_of_a_mebibyte_and_more() {
    let echo = Example::start("echo");
    let mut socket = echo.socket().await;
    for message in [
        Message::text(""),
        Message::text("ação ☃"),
        Message::binary(vec![0, 159, 146, 150]),
        Message::text("ã".repeat(MIB / 2)),
        Message::binary((0..3 * MIB).map(|byte| byte as u8).collect::<Vec<_>>()),
    ] {
        socket.send(message.clone()).await;
        assert!(socket.next().await == message, "{} bytes", message.len());
    }
}

#[tokio::test]
async fn echo_reassembles_fragments_even_where_they_cut_a_character() {
    let echo = Example::start("echo");
    let mut socket = echo.socket().await;
    let snowman = "☃".as_bytes();
    let part = |bytes: &[u8], kind, last| {
        Message::Frame(Frame::message(bytes.to_vec(), OpCode::Data(kind), last))
    };
    socket.send(part(&snowman[..1], Data::Text, false)).await;
    socket.send(Message::Ping("between".into())).await;
    socket.send(part(b"", Data::Continue, false)).await;
    socket.send(part(&snowman[1..], Data::Continue, true)).await;
    assert_eq!(socket.next().await, Message::Pong("between".into()));
    assert_eq!(socket.next().await, Message::text("☃"));
}

#[tokio::test]
async fn echo_closes_a_client_that_sends_too_much_and_keeps_serving() {
    let echo = Example::start("echo");
    let mut socket = echo.socket().await;
    // The connection may be reset while the message still goes out.
    let _ = timeout(LIMIT, socket.0.send(vec![0; 16 * MIB + 1].into())).await;
    let end = timeout(LIMIT, socket.0.next()).await.unwrap();
    assert!(!matches!(end, Some(Ok(Message::Binary(_)))));
    let mut socket = echo.socket().await;
    socket.send("still here").await;
    assert_eq!(socket.text().await, "still here");
}

#[test]
fn the_client_of_echo_sends_its_lines_and_prints_every_answer() {
    let echo = Example::start("echo");
    let mut client = example("echo")
        .arg(format!("ws://{}", echo.address))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = client.stdin.take().unwrap();
    // More than the buffers between the two hold, so that a client that only sends would wait for ever.
    let lines = format!("one\n{}", format!("{}\n", "x".repeat(4 * MIB)).repeat(8));
    let (done, outputs) = mpsc::channel();
    let typed = lines.clone();
    // Typing and reading at the same time, and reading in a thread that can be abandoned: a client that hangs ends
    // with the server.
    thread::spawn(move || stdin.write_all(typed.as_bytes()));
    thread::spawn(move || done.send(client.wait_with_output()));
    let output = outputs.recv_timeout(LIMIT).unwrap().unwrap();
    assert!(output.status.success());
    assert!(output.stdout == lines.as_bytes());
}

/// Enters the chat with this name, and reads everything up to the notice of that.
async fn member(chat: &Example, name: &str) -> Socket {
    let mut socket = chat.socket().await;
    enter(&mut socket, name).await;
    socket
}

async fn enter(socket: &mut Socket, name: &str) {
    assert!(socket.json().await["ask"].is_string());
    socket.send(name).await;
    while socket.json().await["joined"] != name {}
}

fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    now.as_millis().try_into().unwrap()
}

#[tokio::test]
async fn members_of_the_chat_receive_joins_messages_with_their_time_and_leaves() {
    let chat = Example::start("chat");
    assert!(chat.page().await.contains("/ws"));
    let start = now();
    let mut ana = member(&chat, "Ana").await;
    let mut rui = member(&chat, "Rui").await;
    assert_eq!(ana.json().await["joined"], "Rui");

    rui.send("<b>olá</b>").await;
    for socket in [&mut ana, &mut rui] {
        let line = socket.json().await;
        assert_eq!(
            (&line["from"], &line["text"]),
            (&json!("Rui"), &json!("<b>olá</b>"))
        );
        assert!(
            (start..=now()).contains(&line["at"].as_u64().unwrap()),
            "{line}"
        );
    }
    drop(rui);
    let line = ana.json().await;
    assert_eq!(line["left"], "Rui");
    assert!(line["at"].is_u64());

    // A member who comes later is sent what was said before.
    let mut eva = chat.socket().await;
    assert!(eva.json().await["ask"].is_string());
    eva.send("Eva").await;
    assert_eq!(eva.json().await["joined"], "Ana");
    assert_eq!(eva.json().await["joined"], "Rui");
    assert_eq!(eva.json().await["text"], "<b>olá</b>");
}

#[tokio::test]
async fn a_name_in_the_chat_is_taken_once_and_free_after() {
    let chat = Example::start("chat");
    let mut ana = member(&chat, "Ana").await;
    let mut other = chat.socket().await;
    for name in ["Ana", "", "  ", &"n".repeat(41)] {
        assert!(other.json().await["ask"].is_string());
        other.send(name).await;
    }
    enter(&mut other, "Other").await;
    assert_eq!(ana.json().await["joined"], "Other");
    drop(ana);
    while other.json().await["left"] != "Ana" {}
    member(&chat, "Ana").await;
}

#[tokio::test]
async fn a_slow_member_of_the_chat_delays_nobody_and_stays() {
    /// Far more than the system buffers for a client that does not read.
    const LINES: usize = 10_000;
    let chat = Example::start("chat");
    let mut slow = chat.socket_with(Some(4096)).await;
    enter(&mut slow, "slow").await;
    let mut ana = member(&chat, "Ana").await;
    let mut rui = member(&chat, "Rui").await;
    let long = "x".repeat(1000);
    assert_eq!(ana.json().await["joined"], "Rui");
    for number in 0..LINES {
        ana.send(format!("{number} {long}")).await;
        // No further ahead than the number of lines that the room keeps.
        if number % 100 == 99 {
            for socket in [&mut ana, &mut rui] {
                for number in number - 99..=number {
                    let line = socket.json().await;
                    let start = format!("{number} ");
                    assert!(line["text"].as_str().unwrap().starts_with(&start), "{line}");
                }
            }
        }
    }
    // A member may send before it has read.
    slow.send("I am still here").await;
    assert_eq!(rui.json().await["text"], "I am still here");
    let (mut received, mut gone) = (0, 0);
    loop {
        let line = slow.json().await;
        match line["gone"].as_u64() {
            Some(lines) => gone += lines,
            None if line["text"] == "I am still here" => break,
            None => received += usize::from(line["from"] == "Ana"),
        }
    }
    assert!(gone > 0, "it was not slow");
    // Ana and Rui came in.
    let counted = received + usize::try_from(gone).unwrap();
    assert!(
        (LINES..=LINES + 2).contains(&counted),
        "{received} received, {gone} gone"
    );
}

/// What htmx's extension for WebSockets sends of a form: its values, and headers of its own.
fn form(values: Value) -> String {
    let mut form = values;
    form["HEADERS"] = json!({
        "HX-Request": "true", "HX-Trigger": null, "HX-Trigger-Name": null, "HX-Target": null,
        "HX-Current-URL": "http://127.0.0.1/",
    });
    form.to_string()
}

/// The fragment that replaces the light.
fn light(level: &str, by: &str) -> String {
    format!(
        r#"<p id="light" hx-swap-oob="true"><meter max="100" value="{level}"></meter> {level} %{by}</p>"#
    )
}

#[tokio::test]
async fn pages_of_htmx_set_the_light_and_all_show_the_same_level() {
    let htmx = Example::start("htmx");
    let (mut one, mut two) = (htmx.socket().await, htmx.socket().await);
    assert_eq!(one.text().await, light("50", ""));
    assert_eq!(two.text().await, light("50", ""));
    one.send(form(json!({"level": "42.5", "name": ""}))).await;
    assert_eq!(one.text_with("light").await, light("42.5", ""));
    assert_eq!(two.text().await, light("42.5", ""));
    two.send(form(json!({"step": "-10", "name": "Ana"}))).await;
    assert_eq!(two.text_with("light").await, light("32.5", " by Ana"));
    assert_eq!(one.text_with("light").await, light("32.5", " by Ana"));
}

#[tokio::test]
async fn what_people_write_is_text_on_the_pages_of_htmx() {
    let htmx = Example::start("htmx");
    let (mut one, mut two) = (htmx.socket().await, htmx.socket().await);
    let script = "<script>alert(1)</script>&amp;";
    one.send(form(json!({"level": "7", "name": script}))).await;
    let safe = "&lt;script>alert(1)&lt;/script>&amp;amp;";
    let shown = two.text_with(" 7 %").await;
    assert_eq!(shown, light("7", &format!(" by {safe}")));
    one.send(form(json!({"level": script, "name": ""}))).await;
    let error = one.text_with("level: ").await;
    assert!(error.contains(safe) && !error.contains("<s"), "{error}");
}

#[tokio::test]
async fn a_wrong_form_of_htmx_is_an_error_on_its_page_and_changes_nothing() {
    let htmx = Example::start("htmx");
    let (mut one, mut two) = (htmx.socket().await, htmx.socket().await);
    for (values, words) in [
        (
            json!({"level": "150", "name": ""}),
            "must be from 0 to 100, not 150",
        ),
        (
            json!({"step": "101", "name": ""}),
            "must be from -100 to 100, not 101",
        ),
        (json!({"name": ""}), "either level or step"),
        (
            json!({"level": "1", "step": "1", "name": ""}),
            "either level or step",
        ),
    ] {
        one.send(form(values)).await;
        one.text_with(words).await;
    }
    one.send("not a form").await;
    one.text_with(r#"<p id="error" hx-swap-oob="true">expected"#)
        .await;
    one.send(form(json!({"step": "0", "name": "last"}))).await;
    // After a form that is right, the error goes.
    one.text_with(r#"<p id="error" hx-swap-oob="true"></p>"#)
        .await;
    assert_eq!(two.text().await, light("50", ""));
    assert_eq!(two.text().await, light("50", " by last"));
}

#[tokio::test]
async fn another_site_cannot_reach_the_light_of_htmx() {
    let htmx = Example::start("htmx");
    let open = async |origin: String| {
        let mut request = format!("ws://{}/ws", htmx.address)
            .into_client_request()
            .unwrap();
        request
            .headers_mut()
            .insert("origin", origin.parse().unwrap());
        let stream = TcpStream::connect(htmx.address).await.unwrap();
        client_async(request, stream).await
    };
    assert!(open(format!("http://{}", htmx.address)).await.is_ok());
    for origin in ["http://evil.example", "null"] {
        match open(origin.into()).await {
            Err(Error::Http(answer)) => assert_eq!(answer.status(), 403),
            other => panic!("{origin}: {other:?}"),
        }
    }
}

fn png(image: impl Into<DynamicImage>) -> Vec<u8> {
    let mut file = Cursor::default();
    image.into().write_to(&mut file, ImageFormat::Png).unwrap();
    file.into_inner()
}

#[tokio::test]
async fn an_image_comes_back_with_its_colours_inverted_and_its_transparency_kept() {
    let invert = Example::start("invert_image");
    assert!(invert.page().await.contains("/ws"));
    let mut socket = invert.socket().await;
    let pixels = [[255, 0, 0, 255], [0, 1, 2, 128], [9, 99, 199, 0], [255; 4]];
    let image = RgbaImage::from_raw(2, 2, pixels.concat()).unwrap();
    for _ in 0..2 {
        socket.send(png(image.clone())).await;
        let answer = socket.next().await.into_data();
        let answer = image::load_from_memory_with_format(&answer, ImageFormat::Png).unwrap();
        let inverted = pixels.map(|[r, g, b, a]| Rgba([255 - r, 255 - g, 255 - b, a]));
        assert_eq!(answer.as_rgba8().unwrap().dimensions(), (2, 2));
        assert!(
            answer.as_rgba8().unwrap().pixels().eq(&inverted),
            "{answer:?}"
        );
    }
}

#[tokio::test]
async fn a_message_that_is_no_valid_image_is_answered_in_text_and_the_socket_stays_open() {
    let invert = Example::start("invert_image");
    let mut socket = invert.socket().await;
    let small = png(RgbaImage::new(1, 1));
    let cut = small[..small.len() / 2].to_vec();
    // A small file that would decompress to a huge image.
    let wide = png(image::GrayImage::new(4097, 1));
    for (message, words) in [
        (
            Message::binary(b"garbage".to_vec()),
            "not a PNG that can be read",
        ),
        (Message::binary(cut), "not a PNG that can be read"),
        (Message::binary(wide), "not a PNG that can be read"),
        (
            Message::binary(vec![0; 4 * MIB + 1]),
            "may have 4194304 bytes, not 4194305",
        ),
        (Message::text("hello"), "binary frame"),
    ] {
        socket.send(message).await;
        let answer = socket.next().await;
        let Message::Text(answer) = answer else {
            panic!("{answer:?} is not the text {words:?}");
        };
        assert!(answer.contains(words), "{answer}");
    }
    socket.send(small).await;
    assert!(matches!(socket.next().await, Message::Binary(_)));
}
