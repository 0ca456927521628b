//! The examples do what they teach: each is started as a reader starts it, and used.

use std::fs;
use std::io::{Cursor, Write};
use std::process::Stdio;
use std::sync::mpsc;
use std::thread;

use crate::common::{Example, LIMIT, example};
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

/// With clients of the tests' own; tests/clients/examples.rs has those of others.
impl Example {
    async fn socket(&self) -> Socket {
        self.socket_with(None).await
    }

    /// With a receive buffer of this many bytes, and small segments, so that little is on the way to a client that
    /// does not read.
    async fn socket_with(&self, buffer: Option<u32>) -> Socket {
        self.socket_at("/ws", buffer).await
    }

    async fn socket_at(&self, path: &str, buffer: Option<u32>) -> Socket {
        let socket = TcpSocket::new_v4().unwrap();
        if let Some(bytes) = buffer {
            socket.set_recv_buffer_size(bytes).unwrap();
            SockRef::from(&socket).set_tcp_mss(536).unwrap();
        }
        let stream = socket.connect(self.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let url = format!("ws://{}{path}", self.address);
        let unlimited = WebSocketConfig::default()
            .max_message_size(None)
            .max_frame_size(None);
        let opened = client_async_with_config(url, stream, Some(unlimited)).await;
        Socket(opened.unwrap().0)
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
        let answer = match &message {
            Message::Text(text) => Message::text(format!("Echo: {text}")),
            bytes => bytes.clone(),
        };
        assert!(socket.next().await == answer, "{} bytes", message.len());
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
    assert_eq!(socket.next().await, Message::text("Echo: ☃"));
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
    assert_eq!(socket.text().await, "Echo: still here");
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
    let echoed = lines.lines().map(|line| format!("Echo: {line}\n"));
    assert!(output.stdout == echoed.collect::<String>().as_bytes());
}

#[tokio::test]
async fn echo_logs_connections_and_messages_and_stops_at_ctrl_c() {
    let mut echo = Example::start("echo");
    let mut one = echo.socket().await;
    let mut two = echo.socket().await;
    echo.line_with(" connected");
    echo.line_with(" connected");
    one.send("olá\u{1b}[2J").await;
    two.send("x".repeat(1000)).await;
    let sent = [echo.line_with(" sent "), echo.line_with(" sent ")];
    assert!(
        sent.iter()
            .any(|line| line.ends_with(r#"sent "olá\u{1b}[2J""#)),
        "{sent:?}"
    );
    assert!(
        sent.iter()
            .any(|line| line.ends_with("x\" and 920 bytes more")),
        "{sent:?}"
    );
    drop(one);
    echo.line_with(" is gone");
    let process = rustix::process::Pid::from_child(&echo.child);
    rustix::process::kill_process(process, rustix::process::Signal::INT).unwrap();
    echo.line_with("stopped");
    assert!(echo.child.wait().unwrap().success());
}

#[tokio::test]
async fn the_room_sends_each_text_to_all_and_tells_who_leaves() {
    let room = Example::start("room");
    assert!(room.page().await.contains("/ws"));
    let (mut one, mut two) = (room.socket().await, room.socket().await);
    one.send("Teste").await;
    assert_eq!(one.text().await, "Mensagem recebida: Teste");
    // A member hears what is said after it came in, which its first answer proves.
    two.send("two").await;
    for socket in [&mut one, &mut two] {
        socket.text_with("two").await;
    }
    two.send("<b>olá</b>").await;
    for socket in [&mut one, &mut two] {
        assert_eq!(socket.text().await, "Mensagem recebida: <b>olá</b>");
    }
    drop(two);
    assert_eq!(one.text().await, "Um cliente desconectou.");
}

#[tokio::test]
async fn a_slow_member_of_the_room_delays_nobody_and_stays() {
    /// Far more than the system buffers for a client that does not read.
    const LINES: usize = 10_000;
    let room = Example::start("room");
    let mut slow = room.socket_with(Some(4096)).await;
    slow.send("slow").await;
    assert_eq!(slow.text().await, "Mensagem recebida: slow");
    let (mut ana, mut rui) = (room.socket().await, room.socket().await);
    rui.send("Rui").await;
    assert_eq!(rui.text().await, "Mensagem recebida: Rui");
    // Rui's line may come before or after Ana came in.
    ana.send("Ana").await;
    for socket in [&mut ana, &mut rui] {
        socket.text_with("Ana").await;
    }
    let long = "x".repeat(1000);
    for number in 0..LINES {
        ana.send(format!("{number} {long}")).await;
        // No further ahead than the number of lines that the room keeps.
        if number % 100 == 99 {
            for socket in [&mut ana, &mut rui] {
                for number in number - 99..=number {
                    let line = socket.text().await;
                    let start = format!("Mensagem recebida: {number} ");
                    assert!(line.starts_with(&start), "{line}");
                }
            }
        }
    }
    // A member may send before it has read.
    slow.send("I am still here").await;
    rui.text_with("I am still here").await;
    let (mut received, mut missed) = (0, 0);
    loop {
        let line = slow.text().await;
        if let Some(lines) = line.strip_suffix(" mensagens perdidas.") {
            missed += lines.parse::<usize>().unwrap();
        } else if line.ends_with("I am still here") {
            break;
        } else {
            received += 1;
        }
    }
    assert!(missed > 0, "it was not slow");
    // With the lines "Ana" and "Rui".
    assert_eq!(received + missed, LINES + 2);
}

/// A member of the chat: what its page does, without a browser.
struct Member(Socket);

impl Member {
    /// Joins the namespace, without a name yet.
    async fn connect(chat: &Example) -> Member {
        let path = "/socket.io/?EIO=4&transport=websocket";
        let mut member = Member(chat.socket_at(path, None).await);
        assert!(member.packet().await.starts_with("0{"));
        member.0.send("40").await;
        assert!(member.packet().await.starts_with("40{"));
        member
    }

    /// The next packet but a ping, which is answered.
    async fn packet(&mut self) -> String {
        loop {
            match self.0.text().await {
                ping if ping == "2" => self.0.send("3").await,
                packet => return packet,
            }
        }
    }

    /// Joins, and reads the notice of that.
    async fn join(chat: &Example, name: &str) -> Member {
        let mut member = Member::connect(chat).await;
        member.emit("new_host", json!({ "name": name })).await;
        assert_eq!(member.next("host_join_room").await["name"], name);
        member
    }

    async fn emit(&mut self, event: &str, data: Value) {
        self.0.send(format!("42{}", json!([event, data]))).await;
    }

    /// The data of the next event, which must be this one.
    async fn next(&mut self, event: &str) -> Value {
        let text = self.packet().await;
        let packet = text.strip_prefix("42").unwrap_or_else(|| panic!("{text}"));
        let mut packet: Value = serde_json::from_str(packet).unwrap();
        assert_eq!(packet[0], event, "{packet}");
        packet[1].take()
    }
}

#[tokio::test]
async fn members_of_the_chat_are_told_who_comes_what_is_said_and_who_leaves() {
    let chat = Example::start("chat");
    let mut ana = Member::join(&chat, "Ana").await;
    let mut rui = Member::join(&chat, "Rui").await;
    let joined = ana.next("host_join_room").await;
    assert_eq!(joined["message"], "Rui entrou na sala!");

    // A text by itself, as some of the tutorials send, and an object.
    for data in [json!("<b>olá</b>"), json!({"message": "<b>olá</b>"})] {
        rui.emit("new_message", data).await;
        for member in [&mut ana, &mut rui] {
            let said = member.next("add_chat_message").await;
            assert_eq!(
                (&said["name"], &said["message"], &said["ip"]),
                (&json!("Rui"), &json!("<b>olá</b>"), &json!("127.0.0.1"))
            );
            let time = said["time"].as_str().unwrap();
            assert!(time.parse::<jiff::civil::Time>().is_ok(), "{time}");
        }
    }
    let logged = chat.line_with("add_chat_message");
    assert!(logged.contains(r#""Rui" (127.0.0.1)"#), "{logged}");
    drop(rui);
    assert_eq!(ana.next("host_leave_room").await["name"], "Rui");
}

#[tokio::test]
async fn a_name_in_the_chat_is_taken_once_and_free_after() {
    let chat = Example::start("chat");
    let ana = Member::join(&chat, "Ana").await;
    let mut other = Member::connect(&chat).await;
    for name in ["Ana", "", "  ", "a\nb", &"n".repeat(41)] {
        other.emit("new_host", json!({ "name": name })).await;
        let reason = other.next("refused").await;
        assert!(reason.as_str().unwrap().contains("1 to 40"), "{reason}");
    }
    other.emit("new_message", json!("nameless")).await;
    let reason = other.next("refused").await;
    assert!(reason.as_str().unwrap().contains("new_host"), "{reason}");
    drop(ana);
    assert_eq!(other.next("host_leave_room").await["name"], "Ana");
    Member::join(&chat, "Ana").await;
}

#[tokio::test]
async fn a_name_that_is_posted_leads_to_the_chat() {
    let chat = Example::start("chat");
    assert!(chat.page().await.contains(r#"method="post""#));
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    let post = async |form: &'static str| {
        let url = format!("http://{}/", chat.address);
        client.post(url).body(form).send().await.unwrap()
    };
    let answer = post("username=Zo%C3%AB+da+Silva%3B").await;
    assert_eq!(answer.status(), 303);
    assert_eq!(answer.headers()["location"], "/chat");
    assert_eq!(
        answer.headers()["set-cookie"],
        "name=Zo%C3%AB+da+Silva%3B; Path=/; SameSite=Strict"
    );
    for form in ["", "name=", "name=%20", "name=a%0Ab"] {
        assert_eq!(post(form).await.status(), 400, "{form}");
    }
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
async fn the_scripts_of_htmx_come_from_the_lan_where_npm_has_installed_them() {
    let folder = tempfile::tempdir().unwrap();
    let dist = folder.path().join("node_modules/htmx.org/dist");
    fs::create_dir_all(&dist).unwrap();
    fs::write(dist.join("htmx.min.js"), "// htmx").unwrap();
    let htmx = Example::run(
        example("htmx")
            .arg("127.0.0.1:0")
            .current_dir(folder.path()),
    );
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    let page = htmx.page().await;
    let get = async |script: &str| {
        assert!(page.contains(script));
        let url = format!("http://{}{script}", htmx.address);
        client.get(url).send().await.unwrap()
    };
    let script = get("/npm/htmx.org@2.0.11/dist/htmx.min.js").await;
    assert_eq!(script.headers()["content-type"], "text/javascript");
    assert_eq!(script.text().await.unwrap(), "// htmx");
    let script = get("/npm/htmx-ext-ws@2.0.4/dist/ws.min.js").await;
    assert_eq!(script.status(), 307);
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
            "not a PNG image that can be read",
        ),
        (Message::binary(cut), "not a PNG image that can be read"),
        (Message::binary(wide), "not a PNG image that can be read"),
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
