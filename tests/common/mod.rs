//! One way to start the real service, and one way to be a page.

#![allow(dead_code, clippy::unwrap_used)]

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::net::{self, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use dimmer::platform::password::Hash;
use futures_util::{FutureExt, SinkExt, StreamExt};
use reqwest::{Client, Method};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use socket2::SockRef;
use tempfile::TempDir;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

/// How long a condition may take to come true; long, as test machines stall.
pub const LIMIT: Duration = Duration::from_secs(20);

/// A folder of its own for one service: settings, levels, traces, log.
pub struct Home {
    folder: TempDir,
    settings: String,
    /// The port it had, so that it has the same after a restart.
    port: u16,
    /// How many files it may have open, if not as many as the tests.
    open_files: Option<u32>,
}

impl Home {
    /// With the default settings.
    pub fn new() -> Home {
        Home::with("")
    }

    /// With these settings, in the form of `dimmer.toml`.
    pub fn with(settings: &str) -> Home {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("trace")).unwrap();
        Home {
            folder,
            settings: settings.into(),
            port: 0,
            open_files: None,
        }
    }

    /// With so many open files at most.
    pub fn with_open_files(mut self, most: u32) -> Home {
        self.open_files = Some(most);
        self
    }

    /// With this password, newly hashed.
    pub fn with_password(mut self, password: &str) -> Home {
        let file = self.path().join("password");
        fs::write(&file, Hash::of(password).unwrap().line() + "\n").unwrap();
        let setting = format!("password_file = {:?}\n", file.display().to_string());
        if !self.settings.contains(&setting) {
            self.settings = setting + &self.settings;
        }
        self
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn levels_file(&self) -> PathBuf {
        self.path().join("state/levels.json")
    }

    pub fn trace_folder(&self) -> PathBuf {
        self.path().join("trace")
    }

    /// Writes the settings file and returns its path.
    pub fn write_settings(&self) -> PathBuf {
        let file = self.path().join("dimmer.toml");
        fs::write(&file, &self.settings).unwrap();
        file
    }

    /// The command that serves from this folder, without the variables of whoever runs the tests.
    pub fn command(&self) -> Command {
        let mut command = match self.open_files {
            None => dimmer(),
            Some(most) => {
                let mut shell = without_variables("sh");
                shell
                    .args(["-c", r#"ulimit -n "$0" && exec "$@""#])
                    .arg(most.to_string())
                    .arg(program());
                shell
            }
        };
        command
            .arg("--config")
            .arg(self.write_settings())
            .arg("--listen")
            .arg(format!("127.0.0.1:{}", self.port))
            .arg("--state-dir")
            .arg(self.path().join("state"))
            .arg("--trace")
            .arg(self.trace_folder());
        command
    }

    /// Starts the service and waits until it listens.
    pub fn start(self) -> Dimmer {
        self.start_with(|_| {})
    }

    /// The same with a command that has more to it.
    pub fn start_with(self, add: impl FnOnce(&mut Command)) -> Dimmer {
        let mut command = self.command();
        add(&mut command);
        self.start_by(command)
    }

    /// Starts the service by a command of one's own, and waits until it listens.
    pub fn start_by(mut self, mut command: Command) -> Dimmer {
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.path().join("log"))
            .unwrap();
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = lines.map_while(Result::ok).find_map(|line| {
            let url = line.strip_prefix("open http")?;
            url.trim_start_matches('s')
                .strip_prefix("://")?
                .parse()
                .ok()
        });
        let Some(address) = address else {
            let log = fs::read_to_string(self.path().join("log")).unwrap();
            panic!("the service did not start: {log}");
        };
        let address: SocketAddr = address;
        self.port = address.port();
        Dimmer {
            home: Some(self),
            child,
            address,
        }
    }
}

/// The program under test: `DIMMER_BIN`, or the one that cargo just built.
pub fn dimmer() -> Command {
    without_variables(program())
}

fn program() -> OsString {
    std::env::var_os("DIMMER_BIN").unwrap_or_else(|| env!("CARGO_BIN_EXE_dimmer").into())
}

fn without_variables(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for (variable, _) in std::env::vars_os() {
        if variable.as_encoded_bytes().starts_with(b"DIMMER_") {
            command.env_remove(variable);
        }
    }
    command
}

/// A running service. It is killed when dropped.
pub struct Dimmer {
    home: Option<Home>,
    child: Child,
    pub address: SocketAddr,
}

impl Dimmer {
    /// With the default settings.
    pub fn start() -> Dimmer {
        Home::new().start()
    }

    pub fn home(&self) -> &Home {
        self.home.as_ref().unwrap()
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to stop, as systemd does, and waits for the end.
    pub fn stop(self) -> (ExitStatus, Home) {
        self.stop_by(Signal::TERM)
    }

    /// Sends it a signal that ends it, and waits for that.
    pub fn stop_by(mut self, signal: Signal) -> (ExitStatus, Home) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).unwrap();
        (self.child.wait().unwrap(), self.home.take().unwrap())
    }

    /// Ends it as a power cut does.
    pub fn kill(mut self) -> Home {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.home.take().unwrap()
    }

    /// How often its main thread was put on a processor.
    pub fn switches(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let counts = status.lines().filter(|line| line.contains("ctxt_switches"));
        let count = |line: &str| line.split_whitespace().nth(1)?.parse::<u64>().ok();
        counts.filter_map(count).sum()
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.home().path().join("log")).unwrap()
    }

    /// Every duty that the light's pin got, the newest last.
    pub fn duties(&self, light: &str) -> Vec<u16> {
        duties(self.home(), light)
    }

    /// The newest duty that the light's pin got; without reading a long trace to the end.
    pub fn duty(&self, light: &str) -> Option<u16> {
        let mut trace = fs::File::open(self.home().trace_folder().join(light)).ok()?;
        let length = trace.metadata().ok()?.len();
        trace
            .seek(SeekFrom::Start(length.saturating_sub(64)))
            .ok()?;
        let mut end = String::new();
        trace.read_to_string(&mut end).ok()?;
        end.lines().last()?.split_once(' ')?.1.parse().ok()
    }

    /// The level that the REST API tells.
    pub async fn level(&self, light: &str) -> f64 {
        let url = self.url(&format!("/api/lights/{light}"));
        let light: Value = reqwest::get(url).await.unwrap().json().await.unwrap();
        light["level"].as_f64().unwrap()
    }

    /// The status and the JSON, if there is any, that the API answers.
    pub async fn ask(&self, method: Method, path: &str, body: &str) -> (u16, Value) {
        let request = Client::new().request(method, self.url(path));
        let answer = request.body(body.to_owned()).send().await.unwrap();
        let status = answer.status().as_u16();
        (status, answer.json().await.unwrap_or_default())
    }

    /// The resident memory in KiB.
    pub fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        line.unwrap()
            .split_whitespace()
            .nth(1)
            .unwrap()
            .parse()
            .unwrap()
    }

    pub async fn page(&self) -> Page {
        Page::open(self.address).await
    }

    /// Sends these bytes, and returns what is answered until the service closes or the connection
    /// becomes a WebSocket.
    pub fn raw(&self, request: impl AsRef<[u8]>) -> String {
        let mut stream = net::TcpStream::connect(self.address).unwrap();
        stream.write_all(request.as_ref()).unwrap();
        answer(stream)
    }
}

/// What comes until the service closes or the connection becomes a WebSocket.
pub fn answer(mut stream: net::TcpStream) -> String {
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let mut answer = Vec::new();
    let mut part = [0; 4096];
    loop {
        let size = stream.read(&mut part).unwrap();
        answer.extend_from_slice(&part[..size]);
        if size == 0 || answer.starts_with(b"HTTP/1.1 101 ") {
            return String::from_utf8_lossy(&answer).into();
        }
    }
}

impl Drop for Dimmer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Every duty that a light's pin got, the newest last.
pub fn duties(home: &Home, light: &str) -> Vec<u16> {
    let trace = fs::read_to_string(home.trace_folder().join(light)).unwrap_or_default();
    trace
        .lines()
        .filter_map(|line| line.split_once(' ')?.1.parse().ok())
        .collect()
}

/// The duty of a level on the linear curve.
pub fn linear(level: f64) -> u16 {
    (level / 100.0 * 65535.0).round() as u16
}

/// Whether the long forms of the tests are to run.
pub fn long() -> bool {
    std::env::var_os("DIMMER_LONG").is_some_and(|long| long == "1")
}

/// Waits until the condition holds, and panics with `what` if it does not within [`LIMIT`].
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !holds().await {
        assert!(start.elapsed() < LIMIT, "{what}: not within {LIMIT:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn is_activity(message: &Value) -> bool {
    !message["activity"].is_null() || !message["here"].is_null()
}

/// A page as a program: it keeps the rules of `seq` and `seen`.
pub struct Page {
    pub socket: WebSocketStream<TcpStream>,
    pub hello: Value,
    /// What it was told after that, before it said anything.
    pub greeting: Vec<Value>,
    /// What it shows of each light.
    pub levels: HashMap<String, f64>,
    /// The last number of open pages it was told.
    pub pages: u64,
    /// Set for a page that breaks the rule of `seen`, to show what the rule is for.
    pub ignores_seen: bool,
    seq: u64,
    /// The last `seq` it sent for each light.
    sent: HashMap<String, u64>,
    echoes: u64,
}

impl Page {
    pub async fn open(address: SocketAddr) -> Page {
        Page::open_with(address, None).await
    }

    /// With a receive buffer of so many bytes, and small segments: those of loopback have 64 KiB, and
    /// so the system would take in a megabyte and more for a page that does not read.
    pub async fn open_with(address: SocketAddr, buffer: Option<u32>) -> Page {
        let socket = TcpSocket::new_v4().unwrap();
        if let Some(bytes) = buffer {
            socket.set_recv_buffer_size(bytes).unwrap();
            SockRef::from(&socket).set_tcp_mss(536).unwrap();
        }
        let stream = socket.connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (socket, _) = client_async(format!("ws://{address}/ws"), stream)
            .await
            .unwrap();
        let mut page = Page {
            socket,
            hello: Value::Null,
            greeting: Vec::new(),
            levels: HashMap::new(),
            pages: 0,
            ignores_seen: false,
            seq: 0,
            sent: HashMap::new(),
            echoes: 0,
        };
        page.hello = page.next().await["hello"].clone();
        page.greeting = page.settle_all().await;
        page
    }

    /// The next message; it also counts as shown. Whether the page is there is answered by itself. What
    /// others do is told a while after they did it, so it may come at any time: it is left to
    /// [`Page::hear`].
    pub async fn next(&mut self) -> Value {
        loop {
            let message = self.next_of_all().await;
            if !is_activity(&message) {
                return message;
            }
        }
    }

    /// What the next message with this field has in it.
    pub async fn hear(&mut self, field: &str) -> Value {
        loop {
            let mut message = self.next_of_all().await;
            if !message[field].is_null() {
                return message[field].take();
            }
        }
    }

    async fn next_of_all(&mut self) -> Value {
        let next = async {
            loop {
                let frame = self.socket.next().await;
                if let Some(message) = self.take(frame) {
                    return message;
                }
            }
        };
        timeout(LIMIT, next)
            .await
            .expect("the service said nothing")
    }

    /// Takes in what has come so far, and waits for nothing.
    pub fn hear_now(&mut self) {
        while let Some(frame) = self.socket.next().now_or_never() {
            self.take(frame);
        }
    }

    fn take(&mut self, frame: Option<Result<Message, Error>>) -> Option<Value> {
        match frame {
            Some(Ok(Message::Text(text))) => {
                let message = serde_json::from_str(&text).unwrap();
                self.show(&message);
                Some(message)
            }
            Some(Ok(Message::Ping(_))) => None,
            other => panic!("the service sent {other:?}"),
        }
    }

    fn show(&mut self, message: &Value) {
        if let (Some(light), Some(level)) = (message["light"].as_str(), message["level"].as_f64()) {
            let sent = self.sent.get(light).copied().unwrap_or(0);
            if self.ignores_seen || message["seen"].as_u64().unwrap_or(0) >= sent {
                self.levels.insert(light.into(), level);
            }
        }
        if let Some(pages) = message["pages"].as_u64() {
            self.pages = pages;
        }
    }

    /// Sends a message as it is.
    pub async fn say(&mut self, message: Value) {
        self.send(Message::text(message.to_string())).await.unwrap();
    }

    /// Sends a frame as it is.
    pub async fn send(&mut self, frame: Message) -> Result<(), Error> {
        timeout(LIMIT, self.socket.send(frame))
            .await
            .expect("the service takes nothing")
    }

    /// Sends a change of a light with the next `seq`, and returns that.
    pub async fn change(&mut self, light: &str, mut change: Value) -> u64 {
        self.seq += 1;
        change["seq"] = json!(self.seq);
        change["light"] = json!(light);
        self.sent.insert(light.into(), self.seq);
        if let Some(level) = change["level"].as_f64() {
            self.levels.insert(light.into(), level);
        }
        self.say(change).await;
        self.seq
    }

    /// What the service sends until it has handled all that this page sent. After this the page
    /// has everything that was set before it was called.
    pub async fn settle(&mut self) -> Vec<Value> {
        let mut heard = self.settle_all().await;
        heard.retain(|message| !is_activity(message));
        heard
    }

    async fn settle_all(&mut self) -> Vec<Value> {
        self.echoes += 1;
        let echo = json!({"echo": self.echoes});
        self.say(echo.clone()).await;
        let mut heard = Vec::new();
        loop {
            let message = self.next_of_all().await;
            if message == echo {
                return heard;
            }
            heard.push(message);
        }
    }

    /// The code of the goodbye, after whatever else was on the way.
    pub async fn goodbye(&mut self) -> u16 {
        loop {
            let frame = timeout(LIMIT, self.socket.next()).await;
            match frame.expect("the service said nothing") {
                Some(Ok(Message::Close(Some(close)))) => return close.code.into(),
                Some(Ok(_)) => {}
                other => panic!("no goodbye, but {other:?}"),
            }
        }
    }
}
