//! The password: a request without it gets nothing but the login, and guessing is slow.

use std::fs;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::common::{Answer, LIMIT, Setup, TestServer, UPGRADE, dimmer, need, until};
use futures_util::{SinkExt, StreamExt};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async, connect_async};

const PASSWORD: &str = "correct horse";

/// A service with [`PASSWORD`].
fn start() -> TestServer {
    Setup::new().with_password(PASSWORD).start()
}

/// Sends a request with these header lines and this body.
fn request(service: &TestServer, line: &str, headers: &str, body: &str) -> Answer {
    let close = match headers.contains("upgrade") {
        true => "",
        false => "connection: close\r\n",
    };
    let length = body.len();
    Answer::parse(&service.raw(format!(
        "{line} HTTP/1.1\r\nhost: localhost\r\n{close}content-length: {length}\r\n{headers}\r\n{body}"
    )))
}

/// Submits the login form.
fn log_in(service: &TestServer, password: &str) -> Answer {
    let body = format!("password={}", password.replace(' ', "+"));
    request(service, "POST /login", "", &body)
}

fn status_with(service: &TestServer, line: &str, cookie: &str) -> u16 {
    let upgrade = if line.ends_with("/ws") { UPGRADE } else { "" };
    request(service, line, &format!("cookie: {cookie}\r\n{upgrade}"), "").status
}

type Socket = WebSocketStream<TcpStream>;

async fn open_socket(
    service: &TestServer,
    name: &'static str,
    value: &str,
) -> Result<Socket, Error> {
    let stream = TcpStream::connect(service.address).await.unwrap();
    let mut request = format!("ws://{}/ws", service.address)
        .into_client_request()
        .unwrap();
    request.headers_mut().insert(name, value.parse().unwrap());
    client_async(request, stream)
        .await
        .map(|(socket, _)| socket)
}

#[test]
fn without_the_password_nothing_but_the_login_answers() {
    let service = start();
    for line in [
        "HEAD /api/lights",
        &format!("GET {}", service.asset("main.js")),
        &format!("GET {}", service.asset("manifest.webmanifest")),
        "GET /assets/0000000000000000/style.css",
        "GET /index.html",
        "POST /ws",
        "GET /api/lights",
        "GET /api/lights/led",
        "PUT /api/lights/led",
        "OPTIONS /api/lights/led",
        "GET /api/health",
        "GET /api/doctor",
        "GET /api/matter",
        "GET /api/matter/qr.svg",
        "POST /api/matter/open",
        "DELETE /api/matter/fabrics/1",
        "GET /api/nothing",
        "GET /nothing",
        "GET /a/b",
        "GET /ws",
        "POST /logout",
        "GET /login/",
        "GET //login",
        "GET /LOGIN",
        "GET /%6Cogin",
        "GET /login%2F..%2Fmain.js",
        "GET /login/../main.js",
        "GET /?/login",
        "GET /;/login",
    ] {
        for headers in [
            "",
            "cookie: dimmer=\r\n",
            "cookie: a=b; dimmer=4102444800.00\r\n",
            "authorization: Bearer\r\n",
            "authorization: Basic Y29ycmVjdCBob3JzZQ==\r\n",
        ] {
            let upgrade = if line == "GET /ws" { UPGRADE } else { "" };
            let answer = request(
                &service,
                line,
                &format!("{headers}{upgrade}"),
                "{\"level\":1}",
            );
            if line == "GET /?/login" {
                assert_eq!(answer.header("location"), Some("/login"));
                continue;
            }
            assert_eq!(answer.status, 401, "{line} {headers}");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"), "{line}");
            if !line.starts_with("HEAD") {
                assert!(
                    answer.body.starts_with("{\"error\":\"")
                        && answer.body.ends_with("\"code\":\"password\"}"),
                    "{line}: {}",
                    answer.body
                );
            }
        }
    }
    let page = request(&service, "GET /", "", "");
    assert_eq!(
        (page.status, page.header("location")),
        (303, Some("/login"))
    );
    let styles = ["login.css", "style.css"].map(|name| service.asset(name));
    for path in ["/login", &styles[0], &styles[1]] {
        let answer = request(&service, &format!("GET {path}"), "", "");
        assert_eq!(answer.status, 200, "{path}");
    }
    // Nor did the PUTs do anything.
    assert!(service.duties("led").iter().all(|duty| *duty > 30_000));
}

#[tokio::test]
async fn the_right_password_lets_a_browser_in_and_the_wrong_one_does_not() {
    let service = start();
    for wrong in ["correct hors", "", "correct%20horse%00"] {
        let answer = log_in(&service, wrong);
        assert_eq!(answer.status, 401, "{wrong}");
        assert_eq!(answer.header("set-cookie"), None);
        assert!(answer.body.contains("That is not the password."));
        assert!(!answer.body.contains("correct"), "it is not repeated");
    }
    let answer = log_in(&service, PASSWORD);
    assert_eq!((answer.status, answer.header("location")), (303, Some("/")));
    let set = answer.header("set-cookie").unwrap();
    let attributes = "; Path=/; Max-Age=2592000; HttpOnly; SameSite=Strict";
    assert!(set.ends_with(attributes), "{set}");
    let cookie = answer.cookie();
    for line in [
        "GET /",
        &format!("GET {}", service.asset("main.js")),
        "GET /api/lights",
    ] {
        assert_eq!(status_with(&service, line, &cookie), 200, "{line}");
    }
    let among_others = format!("a=b; {cookie}; c=d");
    assert_eq!(status_with(&service, "GET /ws", &among_others), 101);
    for broken in [&cookie[..cookie.len() - 1], &cookie.to_uppercase()] {
        assert_eq!(status_with(&service, "GET /api/lights", broken), 401);
    }
    let https = "origin: https://localhost\r\n";
    let answer = request(&service, "POST /login", https, "password=correct+horse");
    let set = answer.header("set-cookie").unwrap();
    assert!(set.ends_with("; Secure"), "{set}");
}

#[test]
fn a_session_outlives_a_restart_and_ends_with_a_new_password() {
    let service = start();
    let cookie = log_in(&service, PASSWORD).cookie();
    let service = service.stop().1.start();
    assert_eq!(status_with(&service, "GET /ws", &cookie), 101);
    // The same password with another salt.
    let service = service.stop().1.with_password(PASSWORD).start();
    assert_eq!(status_with(&service, "GET /ws", &cookie), 401);
    assert_eq!(status_with(&service, "GET /", &cookie), 303);
    let cookie = log_in(&service, PASSWORD).cookie();
    assert_eq!(status_with(&service, "GET /", &cookie), 200);
}

#[tokio::test]
async fn a_program_sends_the_password_with_each_request() {
    let service = start();
    for (value, expected) in [
        ("Bearer correct horse", 200),
        ("bearer correct horse", 200),
        ("Bearer correct hors", 401),
        ("Bearer  correct horse", 401),
    ] {
        let headers = format!("authorization: {value}\r\n");
        let answer = request(&service, "PUT /api/lights/led", &headers, "{\"level\":7}");
        assert_eq!(answer.status, expected, "{value}");
    }
    let mut socket = open_socket(&service, "authorization", "Bearer correct horse")
        .await
        .unwrap();
    let hello = socket.next().await.unwrap().unwrap();
    assert!(hello.to_text().unwrap().contains("hello"));
    // A program has nothing to log out from.
    assert!(!hello.to_text().unwrap().contains("session"));
    let refused = open_socket(&service, "authorization", "Bearer wrong").await;
    assert!(matches!(refused, Err(Error::Http(answer)) if answer.status() == 401));
}

/// `POST /login` from this address of the loopback network.
async fn log_in_from(from: [u8; 4], service: SocketAddr, password: &str) -> Answer {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((from, 0).into()).unwrap();
    let mut stream = socket.connect(service).await.unwrap();
    let body = format!("password={password}");
    let length = body.len();
    let request = format!(
        "POST /login HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    Answer::parse(&answer)
}

#[tokio::test]
async fn guessing_is_slowed_down_only_for_its_address() {
    let service = start();
    let cookie = log_in(&service, PASSWORD).cookie();
    for free in 0..3 {
        assert_eq!(log_in(&service, "wrong").status, 401, "{free}");
    }
    until("a wait of four seconds", async || {
        let answer = log_in(&service, "wrong");
        assert!([401, 429].contains(&answer.status));
        let wait = answer.header("retry-after");
        wait.is_some_and(|seconds| seconds.parse::<u64>().unwrap() >= 4)
    })
    .await;
    let answer = log_in(&service, "wrong");
    assert_eq!(answer.status, 429);
    let seconds = answer.header("retry-after").unwrap();
    let expected = format!("Try again in {seconds} s.");
    assert!(answer.body.contains(&expected), "{}", answer.body);
    // The password that has been right before does not wait, as others may share the address with the guesser. But to
    // compare it is a guess, too.
    let bearer = "authorization: Bearer correct horse\r\n";
    until("the right password is compared", async || {
        request(&service, "GET /api/lights", bearer, "").status == 200
    })
    .await;
    let statuses = (0..50).map(|_| log_in(&service, PASSWORD).status);
    assert!(statuses.filter(|status| *status == 429).count() > 20);
    // A session goes on, and other addresses are not kept out.
    assert_eq!(status_with(&service, "GET /", &cookie), 200);
    let other = log_in_from([127, 0, 0, 2], service.address, "correct+horse").await;
    assert_eq!(other.status, 303);
    until("the wait is over", async || {
        log_in(&service, PASSWORD).status == 303
    })
    .await;
}

#[tokio::test]
async fn guesses_at_the_same_time_are_checked_one_after_the_other() {
    let service = start();
    let before = memory_peak(&service);
    let guess = |address: u8| log_in_from([127, 0, 1, address], service.address, "wrong");
    // Four guesses of each of 16 addresses at once. Those at the end of the queue are told to come again, and on a busy
    // machine there may be none of some address among the others.
    let mut addresses: Vec<u8> = (0..16).collect();
    let mut checked = 0;
    for _ in 0..10 {
        let guesses = addresses.iter().flat_map(|address| [*address; 4]);
        let answers = futures_util::future::join_all(guesses.map(guess)).await;
        checked += answers.iter().filter(|answer| answer.status == 401).count();
        let mut of_address = answers.chunks(4);
        addresses.retain(|_| {
            let answers = of_address.next().unwrap_or_default();
            answers.iter().all(|answer| answer.status != 401)
        });
        if addresses.is_empty() {
            break;
        }
    }
    let grown = memory_peak(&service) - before;
    // Two hashes at once would take 38 MiB.
    assert!(grown < 30 * 1024, "{grown} KiB");
    assert!(checked >= 16, "{checked}");
    let answers = futures_util::future::join_all(
        (0..20).map(|_| log_in_from([127, 0, 2, 1], service.address, "wrong")),
    )
    .await;
    let checked = answers.iter().filter(|answer| answer.status == 401);
    assert!((1..=4).contains(&checked.count()), "of one address");
}

/// The peak of its resident memory, in KiB.
fn memory_peak(service: &TestServer) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", service.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let number = line.unwrap().split_whitespace().nth(1);
    number.unwrap().parse().unwrap()
}

/// The cookie of a session that ends in this many seconds.
fn cookie_that_ends_in(seconds: u64, service: &TestServer) -> String {
    let code = |key: &[u8], text: &[u8]| {
        let code = Hmac::<Sha256>::new_from_slice(key).unwrap();
        code.chain_update(text).finalize().into_bytes().to_vec()
    };
    let folder = service.setup().path();
    let secret = fs::read(folder.join("state/secret")).unwrap();
    let hash = fs::read_to_string(folder.join("password")).unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let end = now.as_secs() + seconds;
    let code = code(
        &code(&secret, hash.trim_end().as_bytes()),
        format!("session\0{end}").as_bytes(),
    );
    let hex: String = code.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("dimmer={end}.{hex}")
}

#[tokio::test]
async fn a_client_is_closed_when_its_session_ends() {
    let service = start();
    let cookie = cookie_that_ends_in(2, &service);
    let mut socket = open_socket(&service, "cookie", &cookie).await.unwrap();
    let close = loop {
        let frame = timeout(LIMIT, socket.next()).await.expect("it stays open");
        if let Message::Close(close) = frame.unwrap().unwrap() {
            break close.unwrap();
        }
    };
    assert_eq!(u16::from(close.code), 1008);
    assert_eq!(status_with(&service, "GET /ws", &cookie), 401);
}

#[tokio::test]
async fn a_socketio_client_is_disconnected_when_its_session_ends() {
    let service = start();
    let url = format!(
        "ws://{}/socket.io/?EIO=4&transport=websocket",
        service.address
    );
    let mut request = url.into_client_request().unwrap();
    let cookie = cookie_that_ends_in(2, &service);
    request
        .headers_mut()
        .insert("cookie", cookie.parse().unwrap());
    let (mut socket, _) = connect_async(request).await.unwrap();
    let mut received = Vec::new();
    for attempt in 1..=2 {
        socket.send(Message::text("40")).await.unwrap();
        while received.iter().filter(|packet| *packet == "41").count() < attempt {
            let frame = timeout(LIMIT, socket.next()).await.expect("it may stay");
            received.push(frame.unwrap().unwrap().to_string());
        }
    }
    let levels = received.iter().filter(|packet| packet.starts_with("42"));
    assert_eq!(levels.count(), 1, "the level is sent once: {received:?}");
}

#[test]
fn logging_out_clears_the_cookie() {
    let service = start();
    let cookie = format!("cookie: {}\r\n", log_in(&service, PASSWORD).cookie());
    let button = "action=\"logout\" hidden";
    assert!(
        request(&service, "GET /login", "", "")
            .body
            .contains(button)
    );
    assert!(
        !request(&service, "GET /login", &cookie, "")
            .body
            .contains(button)
    );
    let answer = request(&service, "POST /logout", &cookie, "");
    assert_eq!(answer.header("location"), Some("/login"));
    let set = answer.header("set-cookie").unwrap();
    assert!(set.starts_with("dimmer=; Path=/; Max-Age=0;"), "{set}");
}

#[tokio::test]
async fn logging_out_ends_the_session_and_what_it_opened_alone() {
    let service = start();
    let (cookie, other) = (
        log_in(&service, PASSWORD).cookie(),
        log_in(&service, PASSWORD).cookie(),
    );
    let mut socket = open_socket(&service, "cookie", &cookie).await.unwrap();
    let mut stays = open_socket(&service, "cookie", &other).await.unwrap();
    let headers = format!("cookie: {cookie}\r\n");
    assert_eq!(request(&service, "POST /logout", &headers, "").status, 303);
    let close = loop {
        let frame = timeout(LIMIT, socket.next()).await.expect("it stays open");
        if let Message::Close(close) = frame.unwrap().unwrap() {
            break close.unwrap();
        }
    };
    assert_eq!(u16::from(close.code), 1008);
    let echo = r#"{"echo":"still here"}"#;
    stays.send(Message::text(echo)).await.unwrap();
    while stays.next().await.unwrap().unwrap().to_text().unwrap() != echo {}
    assert_eq!(status_with(&service, "GET /ws", &cookie), 401);
    let (_, setup) = service.stop();
    let service = setup.start();
    assert_eq!(status_with(&service, "GET /ws", &cookie), 401);
    assert_eq!(status_with(&service, "GET /ws", &other), 101);
}

#[test]
fn without_memory_to_verify_a_password_the_service_stays_and_says_so() {
    let service = start();
    let cookie = log_in(&service, PASSWORD).cookie();
    let status = fs::read_to_string(format!("/proc/{}/status", service.pid())).unwrap();
    let size = status.lines().find_map(|line| line.strip_prefix("VmData:"));
    let size = size.unwrap().split_whitespace().next().unwrap();
    let most = (size.parse::<u64>().unwrap() + 20 * 1024) * 1024;
    let limit = rustix::process::Rlimit {
        current: Some(most),
        maximum: Some(most),
    };
    let pid = rustix::process::Pid::from_raw(service.pid() as i32);
    rustix::process::prlimit(pid, rustix::process::Resource::Data, limit).unwrap();
    let answer = log_in(&service, "not the password");
    assert_eq!(answer.status, 503, "{}", answer.body);
    assert!(answer.body.contains("not enough memory"), "{}", answer.body);
    assert_eq!(status_with(&service, "GET /", &cookie), 200);
}

#[test]
fn another_site_cannot_log_a_browser_in_or_out() {
    let service = start();
    let cookie = log_in(&service, PASSWORD).cookie();
    let headers = format!("origin: http://evil.example\r\ncookie: {cookie}\r\n");
    for line in ["POST /login", "POST /logout"] {
        let answer = request(&service, line, &headers, "password=correct+horse");
        assert_eq!(answer.status, 403, "{line}");
        assert_eq!(answer.header("set-cookie"), None, "{line}");
    }
}

#[test]
fn the_login_speaks_the_languages_of_the_page_and_has_no_script_but_that_which_shows_the_password()
{
    let service = start();
    for (languages, word) in [
        ("", "Log in"),
        ("pt-BR,pt;q=0.9,en;q=0.8", "Entrar"),
        ("PT", "Entrar"),
        ("nl, pt-PT;q=0.9, en;q=0.8", "Palavra-passe"),
        ("de-DE,en-US;q=0.7,pt;q=0.3", "Anmelden"),
        ("ar", "dir=\"rtl\""),
        ("ptx", "Log in"),
    ] {
        let headers = format!("accept-language: {languages}\r\n");
        let answer = request(&service, "GET /login", &headers, "");
        assert!(answer.body.contains(word), "{languages}");
        assert!(!answer.body.contains('{'), "every word is there");
        let scripts: Vec<_> = answer.body.split("<script").skip(1).collect();
        let is_own = |script: &str| {
            script.starts_with(" type=\"module\" src=\"assets/")
                && script.contains("/login.js\"></script>")
        };
        assert!(scripts.len() == 1 && is_own(scripts[0]), "{}", answer.body);
        assert!(!answer.body.contains("style="));
        let policy = answer.header("content-security-policy").unwrap();
        let allowed = "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:;";
        assert!(
            policy.starts_with(allowed) && !policy.contains("unsafe"),
            "{policy}"
        );
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
}

#[test]
fn without_a_password_there_is_no_login() {
    let service = TestServer::start();
    assert_eq!(request(&service, "GET /login", "", "").status, 404);
    assert_eq!(request(&service, "GET /", "", "").status, 200);
}

#[test]
fn the_command_line_takes_the_password_from_a_variable() {
    let service = start();
    let run = |password: Option<&str>| {
        let mut command = dimmer();
        command.args(["set", "40", "--url", &service.url("")]);
        command.envs(password.map(|password| ("DIMMER_PASSWORD", password)));
        let output = command.output().unwrap();
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    };
    let url = service.url("");
    assert_eq!(run(Some(PASSWORD)), "led 40\n");
    assert_eq!(
        run(None),
        format!("dimmer: {url} wants a password: set the variable DIMMER_PASSWORD\n")
    );
    assert_eq!(
        run(Some("wrong")),
        format!("dimmer: DIMMER_PASSWORD is not the password of {url}\n")
    );
}

/// What `dimmer password` prints on stdout and stderr when this is piped into it.
fn dimmer_password(input: &str) -> (String, String) {
    let mut child = dimmer()
        .arg("password")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr))
}

#[test]
fn dimmer_password_prints_a_hash_that_the_service_takes() {
    let (hash, errors) = dimmer_password("correct horse\n");
    assert!(
        hash.starts_with("$argon2id$") && hash.ends_with('\n'),
        "{hash}{errors}"
    );
    let setup = Setup::new();
    let folder = setup.path().join("credentials");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("password"), &hash).unwrap();
    // As systemd hands it over.
    let service = setup.start_with(|command| {
        command.env("CREDENTIALS_DIRECTORY", folder);
    });
    assert_eq!(log_in(&service, PASSWORD).status, 303);
    let (hash, errors) = dimmer_password("short\n");
    assert_eq!(hash, "");
    assert_eq!(
        errors,
        "dimmer: a password must have 8 to 128 characters, not 5\n"
    );
}

#[tokio::test]
#[ignore = "needs script, a terminal; scripts/test.sh installs it and runs this"]
async fn in_a_terminal_the_password_is_asked_for_twice_and_not_shown() {
    need("script", "bsdutils");
    let mut terminal = Command::new("script")
        .args(["--quiet", "--return", "--command"])
        .arg(format!("'{}' password", dimmer().get_program().display()))
        .arg("/dev/null")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = terminal.stdin.take().unwrap();
    let children = format!("/proc/{0}/task/{0}/children", terminal.id());
    let mut output = terminal.stdout.take().unwrap();
    let mut shown = String::new();
    for question in ["New password: ", "Once more: "] {
        let mut part = [0; 1024];
        while !shown.contains(question) {
            let size = output.read(&mut part).unwrap();
            assert!(size > 0, "{shown}");
            shown += &String::from_utf8_lossy(&part[..size]);
        }
        // The terminal itself would echo what is typed before the question.
        until("it is asked for", async || {
            let child = fs::read_to_string(&children).unwrap_or_default();
            let terminal = fs::read_link(format!("/proc/{}/fd/0", child.trim()));
            let stty = |terminal| Command::new("stty").arg("-aF").arg(terminal).output();
            let modes = terminal.and_then(stty).map(|output| output.stdout);
            let modes = String::from_utf8(modes.unwrap_or_default()).unwrap();
            modes.contains(" -echo ")
        })
        .await;
        input.write_all(b"correct horse\n").unwrap();
    }
    output.read_to_string(&mut shown).unwrap();
    assert!(
        shown.contains("$argon2id$") && !shown.contains("horse"),
        "{shown}"
    );
    assert!(terminal.wait().unwrap().success());
}

#[test]
fn a_password_file_that_cannot_be_used_is_an_error_in_one_line_that_does_not_repeat_it() {
    let setup = Setup::new();
    let file = setup.path().join("password");
    let missing = setup.path().join("missing");
    fs::write(&file, PASSWORD).unwrap();
    for (path, expected) in [
        (&file, "must be one line that dimmer password printed"),
        (
            &missing,
            "cannot be read; make one with: dimmer password > ",
        ),
    ] {
        let output = setup.command().arg("--password-file").arg(path).output();
        let output = output.unwrap();
        assert_eq!(output.status.code(), Some(1));
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(error.contains(expected), "{error}");
        assert!(error.contains(&format!("password_file {}", path.display())));
        assert!(
            error.lines().count() == 1 && !error.contains("horse"),
            "{error}"
        );
    }
}

#[test]
fn nothing_secret_is_ever_logged() {
    let setup = Setup::new().with_password(PASSWORD);
    let service = setup.start_with(|command| {
        command.env("DIMMER_LOG", "trace");
    });
    log_in(&service, "wrong-guess");
    let cookie = log_in(&service, PASSWORD).cookie();
    request(
        &service,
        "GET /api/lights",
        "authorization: Bearer correct horse\r\n",
        "",
    );
    assert_eq!(status_with(&service, "GET /ws", &cookie), 101);
    let (_, setup) = service.stop();
    let log = setup.log();
    assert!(
        log.contains("a wrong password came from 127.0.0.1"),
        "{log}"
    );
    let (_, code) = cookie.split_once('.').unwrap();
    for secret in ["horse", "wrong-guess", code, "$argon2id"] {
        assert!(!log.contains(secret), "{log}");
    }
}
