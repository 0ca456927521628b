//! TLS: with a certificate, nothing is served without it.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::common::{Setup, TestServer, UPGRADE, dimmer, until};
use futures_util::StreamExt;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, version};
use tokio_tungstenite::client_async;

/// A self-signed certificate for 127.0.0.1 and its key, in files.
pub struct Certificate(TempDir);

impl Certificate {
    pub fn new() -> Certificate {
        let certificate = Certificate(tempfile::tempdir().unwrap());
        certificate.renew();
        certificate
    }

    /// Replaces it with a new one.
    fn renew(&self) {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".into()]).unwrap();
        fs::write(self.cert(), made.cert.pem()).unwrap();
        fs::write(self.key(), made.signing_key.serialize_pem()).unwrap();
    }

    fn cert(&self) -> PathBuf {
        self.0.path().join("cert.pem")
    }

    fn key(&self) -> PathBuf {
        self.0.path().join("key.pem")
    }

    pub fn setup(&self) -> Setup {
        Setup::with(&format!(
            "tls_cert = {:?}\ntls_key = {:?}\n",
            self.cert(),
            self.key()
        ))
    }

    /// A connection that trusts this certificate alone.
    async fn connect(&self, service: &TestServer) -> io::Result<TlsStream<TcpStream>> {
        self.connect_over(TcpStream::connect(service.address).await?)
            .await
    }

    /// The same over this connection.
    pub async fn connect_over(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots
            .add(PemObject::from_pem_file(self.cert()).unwrap())
            .unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&version::TLS13])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("127.0.0.1").unwrap();
        TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await
    }

    async fn request(&self, service: &TestServer, request: &str) -> String {
        let mut stream = self.connect(service).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer).into()
    }
}

const GET: &str = "GET / HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n";

#[tokio::test]
async fn with_a_certificate_the_page_and_the_websocket_are_served_over_tls() {
    let certificate = Certificate::new();
    let service = certificate.setup().start();
    let answer = certificate.request(&service, GET).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.contains("<title>dimmer</title>"));
    let stream = certificate.connect(&service).await.unwrap();
    let url = format!("wss://{}/ws", service.address);
    let (mut socket, _) = client_async(url, stream).await.unwrap();
    let hello = socket.next().await.unwrap().unwrap();
    assert!(hello.to_text().unwrap().contains("hello"));
}

#[tokio::test]
async fn plain_http_is_redirected_to_https_and_gets_nothing_else() {
    let certificate = Certificate::new();
    let service = certificate.setup().start();
    for (path, more) in [
        ("/", ""),
        ("/main.js", ""),
        ("/api/lights?a=b", ""),
        ("/ws", UPGRADE),
    ] {
        let close = if more.is_empty() {
            "connection: close\r\n"
        } else {
            ""
        };
        let answer = service.raw(format!(
            "GET {path} HTTP/1.1\r\nhost: pi.local:5000\r\n{close}{more}\r\n"
        ));
        assert!(answer.starts_with("HTTP/1.1 307 "), "{answer}");
        let location = format!("location: https://pi.local:5000{path}\r\n");
        assert!(answer.contains(&location), "{answer}");
        assert!(!answer.contains("dimmer"), "{answer}");
    }
    let answer = service.raw(
        "PUT /api/lights/led HTTP/1.1\r\nhost: pi.local\r\nconnection: close\r\n\
         content-length: 11\r\n\r\n{\"level\":1}",
    );
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    // A site that points its own name here cannot have visitors redirected to it.
    let answer = service.raw(GET.replace("127.0.0.1", "evil.example"));
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    let get = GET.replace("/ ", "/api/lights ");
    let lights = certificate.request(&service, &get).await;
    assert!(lights.contains("\"level\":50"), "{lights}");
}

#[tokio::test]
async fn a_new_certificate_is_read_on_sighup_and_drops_no_client() {
    let certificate = Certificate::new();
    let service = certificate.setup().start_with(|command| {
        command.stdin(std::process::Stdio::null());
    });
    let stream = certificate.connect(&service).await.unwrap();
    let url = format!("wss://{}/ws", service.address);
    let (mut socket, _) = client_async(url, stream).await.unwrap();
    let pid = Pid::from_raw(service.pid() as i32).unwrap();

    certificate.renew();
    let refused = certificate.connect(&service).await;
    assert!(refused.is_err(), "it still shows the one before");
    kill_process(pid, Signal::HUP).unwrap();
    until("the new one is shown", async || {
        certificate.connect(&service).await.is_ok()
    })
    .await;

    // A certificate that cannot be read changes nothing.
    fs::write(certificate.key(), "no key").unwrap();
    kill_process(pid, Signal::HUP).unwrap();
    until("it is logged", async || {
        service
            .log()
            .contains("the certificate before stays in use: tls_key")
    })
    .await;
    assert!(certificate.connect(&service).await.is_ok());

    // One that would never end holds up nobody.
    fs::remove_file(certificate.key()).unwrap();
    let made = std::process::Command::new("mkfifo")
        .arg(certificate.key())
        .status();
    assert!(made.unwrap().success());
    kill_process(pid, Signal::HUP).unwrap();
    until("it is logged", async || {
        service.log().contains("must be a regular file, and is not")
    })
    .await;

    let echo = r#"{"echo":"still here"}"#;
    futures_util::SinkExt::send(&mut socket, echo.into())
        .await
        .unwrap();
    loop {
        let message = socket.next().await.unwrap().unwrap();
        if message.to_text().unwrap() == echo {
            break;
        }
    }
}

#[test]
fn an_unusable_certificate_is_an_error_in_one_line_that_names_it() {
    let (certificate, other) = (Certificate::new(), Certificate::new());
    let setup = certificate.setup();
    let fails_with = |expected: &[&str]| {
        let output = setup.command().output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(error.lines().count(), 1, "{error}");
        for part in expected {
            assert!(error.contains(part), "{error}");
        }
        assert!(!error.contains("PRIVATE"), "{error}");
    };
    let (cert, key) = (certificate.cert(), certificate.key());
    fs::copy(other.key(), &key).unwrap();
    fails_with(&["dimmer: tls_cert", &cert.display().to_string(), "tls_key"]);
    fs::write(&key, "no key").unwrap();
    fails_with(&["dimmer: tls_key", &key.display().to_string()]);
    fs::write(&cert, "no certificate").unwrap();
    fails_with(&["dimmer: tls_cert", &cert.display().to_string()]);
    fs::remove_file(&cert).unwrap();
    fails_with(&["dimmer: tls_cert", &cert.display().to_string()]);
}

#[test]
fn the_command_line_uses_tls_and_trusts_only_the_named_certificate() {
    let (certificate, other) = (Certificate::new(), Certificate::new());
    let service = certificate.setup().start();
    let url = format!("https://{}", service.address);
    let set = |ca: PathBuf| {
        let arguments = ["set", "40", "--url", &url, "--ca"];
        let output = dimmer().args(arguments).arg(ca).output().unwrap();
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    };
    assert_eq!(set(certificate.cert()), "led 40\n");
    let error = set(other.cert());
    assert!(
        error.contains("--ca names the PEM file with its certificate, or its issuer's"),
        "{error}"
    );
    let error = set("/nowhere".into());
    assert!(error.contains("--ca /nowhere"), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
}

#[tokio::test]
async fn with_tls_the_login_cookie_is_for_tls_only() {
    let certificate = Certificate::new();
    let service = certificate.setup().with_password("correct horse").start();
    let body = "password=correct+horse";
    let length = body.len();
    let request = format!(
        "POST /login HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    let answer = certificate.request(&service, &request).await;
    assert!(answer.contains("; Secure\r\n"), "{answer}");
    let answer = service.raw(request);
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    assert!(!answer.contains("set-cookie"), "{answer}");
}
