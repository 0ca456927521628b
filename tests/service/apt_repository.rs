//! `scripts/apt-repository.sh`: what it makes is read by a real apt, which trusts it only as it was signed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task;

/// A folder with a key, packages, and the repository that is made from them and served.
struct Lab {
    folder: TempDir,
    url: String,
}

impl Lab {
    async fn new() -> Lab {
        let folder = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new()
            .fallback(serve)
            .with_state(folder.path().join("repository"));
        tokio::spawn(async move { axum::serve(listener, router).await });
        // gpg refuses a home that others may read.
        let home = folder.path().join("gpg");
        fs::create_dir(&home).unwrap();
        fs::set_permissions(&home, fs::Permissions::from_mode(0o700)).unwrap();
        let lab = Lab { folder, url };
        lab.make_key("maintainer");
        lab
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env("GNUPGHOME", self.path("gpg"));
        command
    }

    fn make_key(&self, name: &str) {
        let mut gpg = self.command("gpg");
        gpg.args(["--batch", "--quiet", "--passphrase", ""]);
        gpg.args(["--quick-generate-key", name, "ed25519", "sign", "never"]);
        assert!(gpg.status().unwrap().success());
    }

    /// A package of dimmer that holds this text.
    fn package(&self, version: &str, text: &str) -> PathBuf {
        let root = self.path(&format!("{version} {text}"));
        fs::create_dir_all(root.join("DEBIAN")).unwrap();
        fs::write(root.join("text"), text).unwrap();
        let control = format!(
            "Package: dimmer\nVersion: {version}\nArchitecture: arm64\nMaintainer: nobody <nobody@dimmer.invalid>\n\
             Description: a test\n"
        );
        fs::write(root.join("DEBIAN/control"), control).unwrap();
        let package = self.path(&format!("{version} {text}.deb"));
        let mut build = Command::new("dpkg-deb");
        build.args(["--build", "--root-owner-group"]);
        assert!(
            build
                .args([&root, &package])
                .output()
                .unwrap()
                .status
                .success()
        );
        package
    }

    fn publish(&self, key: &str, package: &Path) -> Output {
        let mut script = self.command("scripts/apt-repository.sh");
        script.args(["--key", key, "--url", &self.url]);
        script
            .arg("--output")
            .arg(self.path("repository"))
            .arg(package);
        script.output().unwrap()
    }

    /// apt of a Pi that knows this repository alone, by the file that is made for it.
    async fn apt(&self, arguments: &[&str]) -> Output {
        let mut apt = self.command("apt-get");
        let state = self.path("apt");
        for folder in ["sources", "lists/partial", "archives/partial"] {
            fs::create_dir_all(state.join(folder)).unwrap();
        }
        fs::write(state.join("status"), "").unwrap();
        for (option, value) in [
            ("Dir::State", state.clone()),
            ("Dir::State::status", state.join("status")),
            ("Dir::Cache", state.clone()),
            ("Dir::Etc::sourcelist", "/dev/null".into()),
            ("Dir::Etc::sourceparts", state.join("sources")),
            ("APT::Architecture", "arm64".into()),
            ("APT::Architectures", "arm64".into()),
            ("APT::Sandbox::User", "root".into()),
            ("Acquire::http::Proxy", "DIRECT".into()),
            ("Acquire::Languages", "none".into()),
        ] {
            apt.arg("-o").arg(format!("{option}={}", value.display()));
        }
        apt.args(arguments).current_dir(state);
        task::spawn_blocking(move || apt.output().unwrap())
            .await
            .unwrap()
    }

    /// Fetches the newest package, or says why not.
    async fn fetch(&self) -> Result<Vec<u8>, String> {
        let update = self.apt(&["update", "--error-on=any"]).await;
        if !update.status.success() {
            return Err(stderr(&update));
        }
        let download = self.apt(&["download", "dimmer"]).await;
        if !download.status.success() {
            return Err(stderr(&download));
        }
        let files = fs::read_dir(self.path("apt")).unwrap();
        let mut packages: Vec<_> = files
            .map(|file| file.unwrap().path())
            .filter(|file| file.extension().is_some_and(|extension| extension == "deb"))
            .collect();
        let package = packages.pop().unwrap();
        assert!(packages.is_empty(), "{packages:?}");
        let bytes = fs::read(&package).unwrap();
        fs::remove_file(package).unwrap();
        Ok(bytes)
    }

    fn install_sources(&self) {
        let sources = self.path("apt/sources");
        fs::create_dir_all(&sources).unwrap();
        let made = self.path("repository/dimmer.sources");
        fs::copy(made, sources.join("dimmer.sources")).unwrap();
    }
}

/// A static web host.
async fn serve(State(root): State<PathBuf>, uri: Uri) -> Result<Vec<u8>, StatusCode> {
    fs::read(root.join(uri.path().trim_start_matches('/'))).map_err(|_| StatusCode::NOT_FOUND)
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into()
}

#[tokio::test]
#[ignore = "needs apt-utils and gnupg; scripts/test.sh installs them and runs this"]
async fn apt_fetches_what_the_repository_was_signed_with_and_nothing_else() {
    let lab = Lab::new().await;
    let first = lab.package("0.1.0", "first");
    let published = lab.publish("maintainer", &first);
    assert!(published.status.success(), "{}", stderr(&published));
    lab.install_sources();
    assert!(lab.fetch().await.unwrap() == fs::read(&first).unwrap());

    // A release adds to it, and apt takes the newer one.
    let second = lab.package("0.2.0", "second");
    assert!(lab.publish("maintainer", &second).status.success());
    assert!(lab.fetch().await.unwrap() == fs::read(&second).unwrap());
    let pool = lab.path("repository/pool");
    assert!(pool.join("dimmer_0.1.0_arm64.deb").exists());

    // What was published once cannot become another thing.
    let other = lab.package("0.2.0", "other");
    let refused = lab.publish("maintainer", &other);
    assert!(!refused.status.success());
    assert!(stderr(&refused).contains("a new package needs a new version"));
    assert!(lab.fetch().await.unwrap() == fs::read(&second).unwrap());

    // A package that the host exchanges is refused, and so is a list that another key has signed.
    fs::copy(&other, pool.join("dimmer_0.2.0_arm64.deb")).unwrap();
    let error = lab.fetch().await.unwrap_err();
    assert!(
        error.contains("Hash Sum mismatch") || error.contains("unexpected size"),
        "{error}"
    );
    fs::copy(&second, pool.join("dimmer_0.2.0_arm64.deb")).unwrap();
    lab.make_key("thief");
    assert!(lab.publish("thief", &second).status.success());
    let error = lab.fetch().await.unwrap_err();
    assert!(error.contains("NO_PUBKEY"), "{error}");
}

#[tokio::test]
#[ignore = "needs apt-utils and gnupg; scripts/test.sh installs them and runs this"]
async fn a_repository_needs_a_key_and_packages_of_dimmer() {
    let lab = Lab::new().await;
    let package = lab.package("0.1.0", "first");
    let unknown = lab.publish("nobody", &package);
    assert!(stderr(&unknown).contains("gpg has no secret key nobody"));
    assert!(!lab.path("repository").exists());
    for (arguments, error) in [
        (&["--key"][..], "--key needs a value"),
        (&["--key", "maintainer"], "--url is needed"),
        (&["--keys", "x"], "unknown option --keys"),
        (
            &["--key", "maintainer", "--url", "ftp://x", "--output", "x"],
            "--url must begin with https:// or http://, not be ftp://x",
        ),
    ] {
        let mut script = lab.command("scripts/apt-repository.sh");
        let output = script.args(arguments).output().unwrap();
        assert!(
            !output.status.success() && stderr(&output).contains(error),
            "{arguments:?}: {}",
            stderr(&output)
        );
    }
}
