//! `dimmer certificate`, and the service that uses what it makes.

use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Output;
use std::sync::Arc;

use crate::common::{Setup, TestServer, dimmer, until};
use rcgen::{CertificateParams, DnType, Issuer, KeyPair, SanType};
use reqwest::redirect::Policy;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, version};

/// Where the command writes.
struct Folder(TempDir);

impl Folder {
    fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, hosts: &[&str]) -> Output {
        let mut command = dimmer();
        command.args(["certificate", "--folder"]).arg(self.0.path());
        for host in hosts {
            command.args(["--host", host]);
        }
        command.output().unwrap()
    }

    /// Runs the command, and returns what it prints.
    fn make(&self, hosts: &[&str]) -> String {
        let output = self.run(hosts);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn error(&self, hosts: &[&str]) -> String {
        let output = self.run(hosts);
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    }

    /// The certificates in the file: that of the service, then that of its authority.
    fn chain(&self) -> Vec<CertificateDer<'static>> {
        let chain = CertificateDer::pem_file_iter(self.file("cert.pem")).unwrap();
        chain.map(Result::unwrap).collect()
    }

    fn setup(&self) -> Setup {
        let (cert, key) = (self.file("cert.pem"), self.file("key.pem"));
        Setup::with(&format!("tls_cert = {cert:?}\ntls_key = {key:?}\n"))
    }

    fn mode(&self, name: &str) -> u32 {
        fs::metadata(self.file(name)).unwrap().permissions().mode() & 0o777
    }
}

/// The certificate that a service shows to a phone that trusts this authority alone and expects this name.
async fn shown(
    service: &TestServer,
    authority: &CertificateDer<'static>,
    name: &str,
) -> std::io::Result<CertificateDer<'static>> {
    let mut roots = RootCertStore::empty();
    roots.add(authority.clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(service.address).await?;
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let stream = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await?;
    let (_, session) = stream.get_ref();
    Ok(session.peer_certificates().unwrap()[0].clone().into_owned())
}

/// The status, the type and the body of `/ca.crt` without TLS.
async fn fetch_authority(service: &TestServer) -> (u16, String, Vec<u8>) {
    let client = reqwest::Client::builder().redirect(Policy::none());
    let response = client.build().unwrap().get(service.url("/ca.crt")).send();
    let response = response.await.unwrap();
    let status = response.status().as_u16();
    let kind = response.headers().get("content-type");
    let kind = kind.map_or("", |kind| kind.to_str().unwrap()).to_owned();
    (status, kind, response.bytes().await.unwrap().to_vec())
}

#[tokio::test]
async fn a_phone_that_trusts_what_it_downloads_trusts_the_service() {
    let folder = Folder::new();
    let told = folder.make(&["lamp.example", "192.0.2.7"]);
    for words in [
        "tls_cert = ",
        "/ca.crt",
        "iPhone",
        "Android",
        "lamp.example, 192.0.2.7",
    ] {
        assert!(told.contains(words), "{words}: {told}");
    }
    let modes = ["cert.pem", "key.pem", "authority-key.pem"].map(|name| folder.mode(name));
    assert_eq!(modes, [0o644, 0o640, 0o600]);

    let service = folder.setup().with_password("correct horse").start();
    let (status, kind, authority) = fetch_authority(&service).await;
    assert_eq!((status, kind.as_str()), (200, "application/x-x509-ca-cert"));
    let authority = CertificateDer::from(authority);
    for name in ["127.0.0.1", "localhost", "lamp.example", "192.0.2.7"] {
        let shown = shown(&service, &authority, name).await;
        assert_eq!(shown.expect(name), folder.chain()[0]);
    }
    shown(&service, &authority, "other.example")
        .await
        .expect_err("another name");
}

#[tokio::test]
async fn the_next_certificate_needs_nothing_on_the_phones() {
    let folder = Folder::new();
    folder.make(&[]);
    let before = folder.chain();
    let service = folder.setup().start();
    let told = folder.make(&["10.1.2.3"]);
    assert!(
        told.contains("reload") && !told.contains("iPhone"),
        "{told}"
    );
    assert_ne!(folder.chain()[0], before[0]);
    kill_process(
        Pid::from_raw(service.pid().cast_signed()).unwrap(),
        Signal::HUP,
    )
    .unwrap();
    until("the next certificate is shown", async || {
        let shown = shown(&service, &before[1], "10.1.2.3").await;
        shown.is_ok_and(|shown| shown == folder.chain()[0])
    })
    .await;
}

#[tokio::test]
async fn a_host_that_the_phones_would_refuse_is_not_in_the_next_certificate() {
    let folder = Folder::new();
    folder.make(&["lamp.example"]);
    let before = fs::read(folder.file("cert.pem")).unwrap();
    let error = folder.error(&["other.example"]);
    assert!(
        error.contains("--host other.example: the authority that phones trust is not good for it"),
        "{error}"
    );
    assert_eq!(fs::read(folder.file("cert.pem")).unwrap(), before);
    assert!(folder.make(&["lamp.example"]).contains("lamp.example"));

    // Made when this machine had another name, and other addresses.
    let file = folder.file("authority-key.pem");
    let text = fs::read_to_string(&file).unwrap();
    let (_, rest) = text.split_once("\nHosts: ").unwrap();
    let (_, key) = rest.split_once('\n').unwrap();
    fs::write(
        &file,
        format!("Authority: dimmer on attic\nHosts: attic\n{key}"),
    )
    .unwrap();
    folder.make(&["10.1.2.3"]);
    let authority = folder.chain()[1].clone();
    let service = folder.setup().start();
    for name in ["localhost", "10.1.2.3"] {
        shown(&service, &authority, name).await.expect(name);
    }
}

#[tokio::test]
async fn the_authority_of_a_home_cannot_pass_for_a_bank() {
    let folder = Folder::new();
    folder.make(&[]);
    let authority = folder.chain()[1].clone();
    // The thief has the key, and knows what stands in the certificate.
    let text = fs::read_to_string(folder.file("authority-key.pem")).unwrap();
    let name = text
        .lines()
        .next()
        .unwrap()
        .strip_prefix("Authority: ")
        .unwrap();
    let mut issuer = CertificateParams::default();
    issuer.distinguished_name.push(DnType::CommonName, name);
    let issuer = Issuer::new(issuer, KeyPair::from_pem(&text).unwrap());
    for (name, passes) in [
        ("bank.example", false),
        ("8.8.8.8", false),
        ("lamp.local", true),
        ("10.0.0.9", true),
    ] {
        let mut forged = CertificateParams::default();
        forged.subject_alt_names = vec![match name.parse::<IpAddr>() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) => SanType::DnsName(name.try_into().unwrap()),
        }];
        let key = KeyPair::generate().unwrap();
        let forged = forged.signed_by(&key, &issuer).unwrap();
        fs::write(folder.file("cert.pem"), forged.pem()).unwrap();
        fs::write(folder.file("key.pem"), key.serialize_pem()).unwrap();
        let service = folder.setup().start();
        let shown = shown(&service, &authority, name).await;
        assert_eq!(shown.is_ok(), passes, "{name}");
    }
}

#[test]
fn a_certificate_of_somebody_else_is_not_replaced() {
    let folder = Folder::new();
    fs::write(folder.file("cert.pem"), "precious").unwrap();
    let error = folder.error(&[]);
    assert!(error.contains("cert.pem is there"), "{error}");
    assert_eq!(
        fs::read_to_string(folder.file("cert.pem")).unwrap(),
        "precious"
    );
    assert!(!folder.file("authority-key.pem").exists());

    let damaged = Folder::new();
    fs::write(
        damaged.file("authority-key.pem"),
        "Authority: dimmer\nHosts: pi\n",
    )
    .unwrap();
    let error = damaged.error(&[]);
    assert!(
        error.contains("authority-key.pem: must hold a private key"),
        "{error}"
    );

    let nowhere = dimmer()
        .args(["certificate", "--folder", "/nowhere"])
        .output()
        .unwrap();
    let error = String::from_utf8(nowhere.stderr).unwrap();
    assert_eq!(error, "dimmer: --folder /nowhere must be a folder\n");
    let error = Folder::new().run(&["https://lamp.local"]);
    assert_eq!(error.status.code(), Some(2), "a name and no URL");
}

#[tokio::test]
async fn a_service_without_an_authority_has_none_to_download() {
    let folder = Folder::new();
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".into()]).unwrap();
    fs::write(folder.file("cert.pem"), made.cert.pem()).unwrap();
    fs::write(folder.file("key.pem"), made.signing_key.serialize_pem()).unwrap();
    let (status, _, text) = fetch_authority(&folder.setup().start()).await;
    assert_eq!(status, 404);
    assert!(
        String::from_utf8(text)
            .unwrap()
            .contains("dimmer certificate")
    );
    let (status, ..) = fetch_authority(&TestServer::start()).await;
    assert_eq!(status, 404);
}
