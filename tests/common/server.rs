//! The real service as a process: requests, signals, levels, duties and memory.

use std::fs;
use std::io::{Read, Seek, SeekFrom, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ExitStatus};
use std::time::Duration;

use reqwest::{Client, Method};
use rustix::param::clock_ticks_per_second;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::setup::{Setup, duties};
use super::{TestClient, linear, raise_file_limit, read_to_end, until};

/// A running service, which is killed when this is dropped.
pub struct TestServer {
    setup: Option<Setup>,
    child: Child,
    pub address: SocketAddr,
}

impl TestServer {
    /// The process that serves from this setup, at this address.
    pub(super) fn new(setup: Setup, child: Child, address: SocketAddr) -> TestServer {
        TestServer {
            setup: Some(setup),
            child,
            address,
        }
    }

    /// Starts with the default settings.
    pub fn start() -> TestServer {
        Setup::new().start()
    }

    /// The path of a file of the page, as the page or the login names it.
    pub fn asset(&self, name: &str) -> String {
        let pages = ["/", "/login"].map(|path| {
            self.raw(format!(
                "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
            ))
        });
        let page = pages.join("");
        let (_, rest) = page
            .split_once("\"assets/")
            .expect("the page names its files");
        let (version, _) = rest.split_once('/').unwrap();
        format!("/assets/{version}/{name}")
    }

    pub fn setup(&self) -> &Setup {
        self.setup.as_ref().unwrap()
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks the service to stop, as systemd does, and waits for the end.
    pub fn stop(self) -> (ExitStatus, Setup) {
        self.stop_by(Signal::TERM)
    }

    /// Sends a signal that ends the service, and waits for the end.
    pub fn stop_by(mut self, signal: Signal) -> (ExitStatus, Setup) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).unwrap();
        (self.child.wait().unwrap(), self.setup.take().unwrap())
    }

    /// Ends the service as a power cut does.
    pub fn kill(mut self) -> Setup {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.setup.take().unwrap()
    }

    /// How often its main thread was given a processor.
    pub fn switches(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let counts = status.lines().filter(|line| line.contains("ctxt_switches"));
        let count = |line: &str| line.split_whitespace().nth(1)?.parse::<u64>().ok();
        counts.filter_map(count).sum()
    }

    pub fn log(&self) -> String {
        self.setup().log()
    }

    /// Every duty that the light's pin got, the newest last.
    pub fn duties(&self, light: &str) -> Vec<u16> {
        duties(self.setup(), light)
    }

    /// The newest duty that the light's pin got; without reading a long trace to the end.
    pub fn duty(&self, light: &str) -> Option<u16> {
        let mut trace = fs::File::open(self.setup().trace_folder().join(light)).ok()?;
        let length = trace.metadata().ok()?.len();
        trace
            .seek(SeekFrom::Start(length.saturating_sub(64)))
            .ok()?;
        let mut end = String::new();
        trace.read_to_string(&mut end).ok()?;
        end.lines().last()?.split_once(' ')?.1.parse().ok()
    }

    /// Waits until the light's pin has the duty of this level on the linear curve.
    pub async fn pin_is_at(&self, light: &str, level: f64) {
        until(&format!("the pin of {light} is at {level}"), async || {
            self.duty(light) == Some(linear(level))
        })
        .await;
    }

    /// The light's level, by the REST API.
    pub async fn level(&self, light: &str) -> f64 {
        let url = self.url(&format!("/api/lights/{light}"));
        let light: Value = reqwest::get(url).await.unwrap().json().await.unwrap();
        light["level"].as_f64().unwrap()
    }

    /// Sends a request, and returns the status of the answer and its JSON: null if it has none.
    pub async fn request(&self, method: Method, path: &str, body: &str) -> (u16, Value) {
        let request = Client::new().request(method, self.url(path));
        let answer = request.body(body.to_owned()).send().await.unwrap();
        let status = answer.status().as_u16();
        (status, answer.json().await.unwrap_or_default())
    }

    /// The resident memory in KiB.
    pub fn memory(&self) -> u64 {
        self.memory_of("VmRSS:")
    }

    /// The part of it that is in no file, in KiB.
    pub fn anonymous_memory(&self) -> u64 {
        self.memory_of("RssAnon:")
    }

    /// The most resident memory since the start, in KiB.
    pub fn peak_memory(&self) -> u64 {
        self.memory_of("VmHWM:")
    }

    /// The time that its threads have had a processor.
    pub fn processor_time(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        // The name, which may have blanks, is in parentheses.
        let (_, fields) = stat.rsplit_once(") ").unwrap();
        let times = fields.split(' ').skip(11).take(2);
        let ticks: u64 = times.map(|time| time.parse::<u64>().unwrap()).sum();
        Duration::from_millis(1000 * ticks / clock_ticks_per_second())
    }

    /// The time that its main thread could have run, but had no processor: others kept it waiting.
    pub fn processor_wait(&self) -> Duration {
        let times = fs::read_to_string(format!("/proc/{}/schedstat", self.pid())).unwrap();
        let nanoseconds = times.split_whitespace().nth(1).unwrap();
        Duration::from_nanos(nanoseconds.parse().unwrap())
    }

    fn memory_of(&self, kind: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with(kind));
        line.unwrap()
            .split_whitespace()
            .nth(1)
            .unwrap()
            .parse()
            .unwrap()
    }

    /// This many clients that have been greeted, one after another.
    pub async fn clients(&self, count: usize) -> Vec<TestClient> {
        raise_file_limit();
        let mut clients = Vec::with_capacity(count);
        for _ in 0..count {
            clients.push(self.client().await);
        }
        clients
    }

    /// A client that has been greeted.
    pub async fn client(&self) -> TestClient {
        TestClient::open(self.address).await
    }

    /// Sends these bytes, and returns what [comes back](read_to_end).
    pub fn raw(&self, request: impl AsRef<[u8]>) -> String {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.write_all(request.as_ref()).unwrap();
        read_to_end(stream)
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
