//! A proxy between the page and the service, which changes what it passes on.

#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{self, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::common::TestServer;

/// A proxy on a port of its own. Each request gets a connection of its own to the service.
pub struct Proxy {
    pub port: u16,
    state: Arc<State>,
}

struct State {
    service: SocketAddr,
    /// Changes the lines of a request.
    pass: Box<dyn Fn(&str) -> String + Send + Sync>,
    /// What stands for what in requests, and the other way round in answers.
    replaced: Mutex<Option<(String, String)>>,
    heads: Mutex<Vec<String>>,
    connections: Mutex<JoinSet<()>>,
}

impl Proxy {
    pub fn start(
        dimmer: &TestServer,
        pass: impl Fn(&str) -> String + Send + Sync + 'static,
    ) -> Proxy {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let listener = TcpListener::from_std(listener).unwrap();
        let state = Arc::new(State {
            service: dimmer.address,
            pass: Box::new(pass),
            replaced: Mutex::default(),
            heads: Mutex::default(),
            connections: Mutex::default(),
        });
        let shared = state.clone();
        tokio::spawn(async move {
            while let Ok((browser, _)) = listener.accept().await {
                let state = shared.clone();
                let serve = async move {
                    // A browser that hangs up is none of the test's business.
                    let _ = state.serve(browser).await;
                };
                shared.connections.lock().unwrap().spawn(serve);
            }
        });
        Proxy { port, state }
    }

    /// From now on puts `outside` in place of `inside` in answers, and the other way round in requests. They have the
    /// same length. Cuts all connections.
    pub fn replace(&self, inside: &str, outside: &str) {
        assert_eq!(inside.len(), outside.len());
        *self.state.replaced.lock().unwrap() = Some((outside.into(), inside.into()));
        self.state.connections.lock().unwrap().abort_all();
    }

    /// How often a request began so since this was asked last.
    pub fn requests(&self, start: &str) -> usize {
        let heads = std::mem::take(&mut *self.state.heads.lock().unwrap());
        heads.iter().filter(|head| head.starts_with(start)).count()
    }
}

impl State {
    async fn serve(&self, mut browser: TcpStream) -> io::Result<()> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(browser.read_u8().await?);
        }
        let head = String::from_utf8_lossy(&head);
        self.heads.lock().unwrap().push(head.to_string());
        let passed = (self.pass)(head.trim_end());
        let named = |name: &str| {
            let name = format!("{name}:");
            move |line: &&str| line.to_lowercase().starts_with(&name)
        };
        let is_socket = passed.lines().any(|line| named("upgrade")(&line));
        // Compressed answers could not be changed.
        let mut lines: Vec<_> = passed
            .lines()
            .filter(|line| !named("accept-encoding")(line))
            .collect();
        if !is_socket {
            lines.retain(|line| !named("connection")(line));
            lines.push("connection: close");
        }
        let replaced = self.replaced.lock().unwrap().clone();
        if replaced.is_some() {
            // The tag is that of the version behind.
            lines.retain(|line| !named("if-none-match")(line));
        }
        let mut head = lines.join("\r\n") + "\r\n\r\n";
        if let Some((outside, inside)) = &replaced {
            head = head.replace(outside, inside);
        }
        let mut service = TcpStream::connect(self.service).await?;
        service.write_all(head.as_bytes()).await?;
        match replaced {
            Some((outside, inside)) if !is_socket => {
                let mut answer = Vec::new();
                service.read_to_end(&mut answer).await?;
                let answer = String::from_utf8_lossy(&answer).replace(&inside, &outside);
                browser.write_all(answer.as_bytes()).await
            }
            _ => io::copy_bidirectional(&mut browser, &mut service)
                .await
                .map(drop),
        }
    }
}
