//! A repository for apt, made by `scripts/apt-repository.sh` and served.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use tempfile::TempDir;

/// A folder with keys, and a repository that is served as long as the tests run.
pub struct Repository {
    folder: TempDir,
    url: String,
}

impl Repository {
    /// An empty one, with the key `maintainer`. `host` is what its readers call this machine's 127.0.0.1.
    pub fn new(host: &str) -> Repository {
        let folder = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{host}:{}", listener.local_addr().unwrap().port());
        let root = folder.path().join("repository");
        // Of its own, as the runtime of a test may be blocked by the reader.
        thread::spawn(|| serve(listener, root));
        // gpg refuses a home that others may read.
        let home = folder.path().join("gpg");
        fs::create_dir(&home).unwrap();
        fs::set_permissions(&home, fs::Permissions::from_mode(0o700)).unwrap();
        let repository = Repository { folder, url };
        repository.make_key("maintainer");
        repository
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// A path beside the repository, for the test's own files.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A file of the repository.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path("repository").join(name)
    }

    /// A program that has the keys.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("GNUPGHOME", self.path("gpg"));
        command
    }

    pub fn make_key(&self, name: &str) {
        let mut gpg = self.command("gpg");
        gpg.args(["--batch", "--quiet", "--passphrase", ""]);
        gpg.args(["--quick-generate-key", name, "ed25519", "sign", "never"]);
        assert!(gpg.status().unwrap().success());
    }

    pub fn publish(&self, key: &str, package: &Path) -> Output {
        let mut script = self.command("scripts/apt-repository.sh");
        script.args(["--key", key, "--url", &self.url, "--output"]);
        script.arg(self.path("repository")).arg(package);
        script.output().unwrap()
    }
}

/// A static web host.
#[tokio::main(flavor = "current_thread")]
async fn serve(listener: TcpListener, root: PathBuf) {
    listener.set_nonblocking(true).unwrap();
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    let router = Router::new().fallback(read).with_state(root);
    axum::serve(listener, router).await.unwrap();
}

/// Without the times of the files: these are whole seconds, in which a test publishes twice.
async fn read(State(root): State<PathBuf>, uri: Uri) -> Result<Vec<u8>, StatusCode> {
    // apt escapes the plus of a version.
    let path = uri.path().trim_start_matches('/').replace("%2b", "+");
    fs::read(root.join(path)).map_err(|_| StatusCode::NOT_FOUND)
}
