//! The page behind the proxies of the documentation, with their lines as they stand there.

use std::fs;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use reqwest::Client;
use tempfile::TempDir;

use crate::browser::{Browser, PI};
use crate::common::{Setup, TestServer, need, until};

const OPERATIONS: &str = include_str!("../../docs/operations.md");
const SECURITY: &str = include_str!("../../docs/security.md");

/// A proxy on a port of its own, killed when this is dropped.
struct Daemon {
    child: Child,
    port: u16,
    _folder: TempDir,
}

impl Daemon {
    async fn start(mut command: Command, port: u16, folder: TempDir) -> Daemon {
        let quiet = command.stdout(Stdio::null()).stderr(Stdio::null());
        let daemon = Daemon {
            child: quiet.spawn().unwrap(),
            port,
            _folder: folder,
        };
        until("the proxy listens", async || {
            Client::new()
                .get(format!("http://127.0.0.1:{port}/"))
                .send()
                .await
                .is_ok()
        })
        .await;
        daemon
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

async fn nginx(dimmer: &TestServer, document: &str) -> Daemon {
    need("nginx", "nginx-light");
    let (_, rest) = document.split_once("```nginx\n").unwrap();
    let (lines, _) = rest.split_once("```").unwrap();
    let lines = lines.replace("127.0.0.1:5000", &dimmer.address.to_string());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().display();
    let port = free_port();
    let paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("{name}_temp_path {path}/{name};"))
        .join(" ");
    let settings = format!(
        "daemon off; master_process off; pid {path}/pid; error_log {path}/error;\nevents {{}}\n\
         http {{ access_log off; {paths} server {{ listen 127.0.0.1:{port};\n{lines}\n}} }}\n"
    );
    let file = folder.path().join("nginx.conf");
    fs::write(&file, settings).unwrap();
    let mut command = Command::new("/usr/sbin/nginx");
    command.arg("-c").arg(&file).arg("-p").arg(folder.path());
    Daemon::start(command, port, folder).await
}

async fn caddy(dimmer: &TestServer) -> Daemon {
    need("caddy", "caddy");
    let line = "reverse_proxy 127.0.0.1:5000";
    assert!(OPERATIONS.contains(&format!("`{line}`")));
    let line = line.replace("127.0.0.1:5000", &dimmer.address.to_string());
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let file = folder.path().join("Caddyfile");
    let settings = format!("{{\n admin off\n auto_https off\n}}\nhttp://:{port} {{\n {line}\n}}\n");
    fs::write(&file, settings).unwrap();
    let mut command = Command::new("caddy");
    command
        .args(["run", "--adapter", "caddyfile", "--config"])
        .arg(&file);
    command
        .env("HOME", folder.path())
        .env("XDG_DATA_HOME", folder.path());
    Daemon::start(command, port, folder).await
}

/// The page is live at the names of the proxy, and moves the light.
async fn works(dimmer: &TestServer, proxy: &Daemon) {
    let browser = Browser::chromium();
    for host in [PI, "localhost"] {
        let url = format!("http://{host}:{}/", proxy.port);
        let phone = browser.phone_at("en-US", &url).await;
        phone.is_live().await;
    }
    assert!(
        !dimmer.setup().log().contains("refused"),
        "{}",
        dimmer.setup().log()
    );
    browser.close().await;
}

#[tokio::test]
#[ignore = "needs nginx and Chromium; scripts/test.sh installs them and runs this"]
async fn the_page_works_behind_nginx_with_the_lines_of_the_documents() {
    for settings in ["", "allowed_hosts = [\"localhost\"]\n"] {
        let dimmer = Setup::with(settings).start();
        for document in [OPERATIONS, SECURITY] {
            works(&dimmer, &nginx(&dimmer, document).await).await;
        }
    }
}

#[tokio::test]
#[ignore = "needs Caddy and Chromium; scripts/test.sh installs them and runs this"]
async fn the_page_works_behind_caddy_with_the_line_of_the_documents() {
    let dimmer = TestServer::start();
    works(&dimmer, &caddy(&dimmer).await).await;
}
