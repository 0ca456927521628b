//! A real MQTT broker, and a client that receives everything.

#![allow(dead_code, clippy::unwrap_used)]

use std::fs;
use std::net::{self, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rumqttc::{AsyncClient, Event, MqttOptions, Packet, PublishOptions, QoS};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use tokio::task::JoinHandle;

use crate::common::{LIMIT, until};

/// A mosquitto on a port of its own, which keeps nothing when it ends. It is killed when this is dropped.
pub struct Broker {
    folder: TempDir,
    pub port: u16,
    child: Child,
}

impl Broker {
    /// One that lets anyone in.
    pub fn start() -> Broker {
        Broker::start_with(tempfile::tempdir().unwrap(), "allow_anonymous true\n")
    }

    /// One that lets in only this user name with this password.
    pub fn with_login(name: &str, password: &str) -> Broker {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("passwords");
        let made = Command::new("mosquitto_passwd")
            .args(["-b", "-c"])
            .arg(&file)
            .args([name, password])
            .status();
        assert!(made.unwrap().success());
        let settings = format!("allow_anonymous false\npassword_file {}\n", file.display());
        Broker::start_with(folder, &settings)
    }

    /// One that speaks TLS with a certificate for 127.0.0.1, and the file of that certificate.
    pub fn with_tls() -> (Broker, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let (cert, key) = (folder.path().join("cert"), folder.path().join("key"));
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".into()]).unwrap();
        fs::write(&cert, made.cert.pem()).unwrap();
        fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        let settings = format!(
            "allow_anonymous true\ncertfile {}\nkeyfile {}\n",
            cert.display(),
            key.display()
        );
        (Broker::start_with(folder, &settings), cert)
    }

    fn start_with(folder: TempDir, settings: &str) -> Broker {
        // mosquitto does not accept port 0. If another program takes the port first, the next try has another.
        for _ in 0..5 {
            let port = free_port();
            let text = format!("user root\nlistener {port} 127.0.0.1\n{settings}");
            fs::write(folder.path().join("settings"), text).unwrap();
            if let Some(child) = serve(folder.path(), port) {
                return Broker {
                    folder,
                    port,
                    child,
                };
            }
        }
        let log = fs::read_to_string(folder.path().join("log")).unwrap();
        panic!("mosquitto does not start: {log}");
    }

    /// The settings of a dimmer called attic that uses this broker, and more settings behind these.
    pub fn settings(&self, more: &str) -> String {
        self.settings_of("attic", more)
    }

    /// The same for a dimmer of this name.
    pub fn settings_of(&self, node: &str, more: &str) -> String {
        let port = self.port;
        format!("[mqtt]\nbroker = \"mqtt://127.0.0.1:{port}\"\nnode = {node:?}\n{more}")
    }

    pub fn stop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Suspends the process: the connections stay, and nothing is answered.
    pub fn freeze(&self) {
        kill_process(Pid::from_child(&self.child), Signal::STOP).unwrap();
    }

    pub fn start_again(&mut self) {
        let start = Instant::now();
        while start.elapsed() < LIMIT {
            if let Some(child) = serve(self.folder.path(), self.port) {
                self.child = child;
                return;
            }
        }
        panic!("mosquitto does not start again");
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Starts mosquitto, and waits until it listens or has ended.
fn serve(folder: &Path, port: u16) -> Option<Child> {
    let log = fs::File::create(folder.join("log")).unwrap();
    // Debian has it where only root's PATH leads.
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin";
    let mut child = Command::new("mosquitto")
        .env("PATH", path)
        .arg("-c")
        .arg(folder.join("settings"))
        .stdout(log.try_clone().unwrap())
        .stderr(Stdio::from(log))
        .spawn()
        .expect("mosquitto is needed: apt install mosquitto");
    while child.try_wait().unwrap().is_none() {
        if TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return Some(child);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    None
}

/// A message as the broker delivered it.
#[derive(Debug, Clone)]
pub struct Received {
    pub topic: String,
    pub text: String,
    pub retained: bool,
    pub at: Instant,
}

/// A client that receives everything from when it connects, as Home Assistant would.
pub struct MqttClient {
    client: AsyncClient,
    received: Arc<Mutex<Vec<Received>>>,
    task: JoinHandle<()>,
}

impl MqttClient {
    pub async fn open(broker: &Broker) -> MqttClient {
        MqttClient::open_with(options("hub", broker)).await
    }

    pub async fn open_with(options: MqttOptions) -> MqttClient {
        let (client, mut events) = AsyncClient::builder(options).capacity(100).build();
        let received = Arc::new(Mutex::new(Vec::new()));
        let (messages, subscriber) = (received.clone(), client.clone());
        let task = tokio::spawn(async move {
            loop {
                match events.poll().await {
                    Ok(Event::Incoming(Packet::ConnAck(_))) => {
                        subscriber.try_subscribe("#", QoS::AtLeastOnce).unwrap();
                    }
                    Ok(Event::Incoming(Packet::Publish(message))) => {
                        messages.lock().unwrap().push(Received {
                            topic: String::from_utf8(message.topic.to_vec()).unwrap(),
                            text: String::from_utf8(message.payload.to_vec()).unwrap(),
                            retained: message.retain,
                            at: Instant::now(),
                        });
                    }
                    Ok(_) => {}
                    // The broker is away.
                    Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            }
        });
        MqttClient {
            client,
            received,
            task,
        }
    }

    /// Every message received on this topic.
    pub fn received(&self, topic: &str) -> Vec<Received> {
        let received = self.received.lock().unwrap();
        let of_topic = received.iter().filter(|message| message.topic == topic);
        of_topic.cloned().collect()
    }

    /// Drops the messages received so far.
    pub fn clear(&self) {
        self.received.lock().unwrap().clear();
    }

    /// The newest message of this topic, as JSON or as text; null if there is none.
    pub fn newest(&self, topic: &str) -> Value {
        let received = self.received(topic);
        let text = received.last().map(|message| message.text.as_str());
        text.map_or(Value::Null, |text| {
            serde_json::from_str(text).unwrap_or_else(|_| text.into())
        })
    }

    /// Waits until the newest message of this topic is this.
    pub async fn expect(&self, topic: &str, message: Value) {
        until(&format!("{topic} is {message}"), async || {
            self.newest(topic) == message
        })
        .await;
    }

    pub async fn publish(&self, topic: &str, message: impl ToString) {
        self.publish_with(topic, message, false).await;
    }

    /// Publishes a message that the broker keeps for later subscribers.
    pub async fn publish_retained(&self, topic: &str, message: impl ToString) {
        self.publish_with(topic, message, true).await;
    }

    async fn publish_with(&self, topic: &str, message: impl ToString, retain: bool) {
        let options = PublishOptions::at_least_once().retain(retain);
        let sent = self.client.publish(topic, message.to_string(), options);
        sent.await.unwrap();
    }
}

impl Drop for MqttClient {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// How to connect to this broker under a name, with messages of up to 1 MiB.
pub fn options(name: &str, broker: &Broker) -> MqttOptions {
    let mut options = MqttOptions::new(name, ("127.0.0.1", broker.port));
    options.set_max_packet_size(1 << 20, 1 << 20);
    options
}
