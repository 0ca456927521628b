//! Requests that other sites make browsers send, over raw sockets: they get nothing, and change nothing.

use crate::common::{Answer, Setup, TestServer, UPGRADE};
use reqwest::header::HeaderMap;

/// Sends a request with these header lines, and returns the answer.
fn request(dimmer: &TestServer, line: &str, headers: &str) -> Answer {
    let close = match headers.contains("upgrade") {
        true => "",
        false => "connection: close\r\n",
    };
    Answer::parse(&dimmer.raw(format!("{line}\r\n{headers}{close}\r\n")))
}

/// `PUT` of level 1, with these header lines.
fn put(dimmer: &TestServer, headers: &str) -> Answer {
    let body = r#"{"level":1}"#;
    let length = body.len();
    Answer::parse(&dimmer.raw(format!(
        "PUT /api/lights/led HTTP/1.1\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )))
}

#[tokio::test]
async fn a_page_of_another_site_cannot_set_the_light() {
    let dimmer = TestServer::start();
    let port = dimmer.address.port();
    for origin in [
        "http://evil.example",
        &format!("http://evil.example:{port}"),
        &format!("http://127.0.0.1:{}", port - 1),
        &format!("http://localhost:{port}"),
        "null",
    ] {
        let headers = format!("host: 127.0.0.1:{port}\r\norigin: {origin}\r\n");
        let answer = put(&dimmer, &headers);
        assert_eq!(answer.status, 403, "{origin}");
        let error = answer.error();
        assert!(error.contains("allowed_hosts"), "{error}");
        assert!(error.contains(&format!("{origin:?}")), "{error}");
        // The preflight request that a browser sends before such a PUT.
        let question = format!("{headers}access-control-request-method: PUT\r\n");
        let answer = request(&dimmer, "OPTIONS /api/lights/led HTTP/1.1", &question);
        assert_eq!(answer.status, 403, "{origin}");
    }
    assert_eq!(dimmer.level("led").await, 50.0);
}

#[test]
fn a_page_of_another_site_cannot_open_a_websocket() {
    let dimmer = TestServer::start();
    let host = dimmer.address;
    for (origin, expected) in [
        ("origin: http://evil.example\r\n".into(), 403),
        ("origin: null\r\n".into(), 403),
        (format!("origin: http://evil.example@{host}\r\n"), 403),
        (format!("origin: http://{host}\r\n"), 101),
        (String::new(), 101),
    ] {
        let headers = format!("host: {host}\r\n{origin}{UPGRADE}");
        let answer = request(&dimmer, "GET /ws HTTP/1.1", &headers);
        assert_eq!(answer.status, expected, "{origin:?}");
    }
}

#[tokio::test]
async fn a_host_name_that_another_site_points_here_is_refused() {
    let dimmer = TestServer::start();
    let port = dimmer.address.port();
    let script = format!("GET {} HTTP/1.1", dimmer.asset("main.js"));
    for host in ["evil.example", "raspberrypi.local.evil.example"] {
        let headers = format!("host: {host}:{port}\r\n");
        for line in [
            "GET / HTTP/1.1",
            &script,
            "POST /ws HTTP/1.1",
            "HEAD / HTTP/1.1",
            "GET /api/lights HTTP/1.1",
            "GET /api/lights/led HTTP/1.1",
            "GET /api/health HTTP/1.1",
            "GET /api/nothing HTTP/1.1",
            "GET /nothing HTTP/1.1",
            "GET /a/b HTTP/1.1",
            "POST / HTTP/1.1",
        ] {
            let answer = request(&dimmer, line, &headers);
            assert_eq!(answer.status, 403, "{line} at {host}");
            if !line.starts_with("HEAD") {
                let error = answer.error();
                assert!(error.contains("allowed_hosts"), "{error}");
                assert!(error.contains(&format!("\"{host}:{port}\"")), "{error}");
            }
        }
        let upgrade = format!("{headers}{UPGRADE}");
        assert_eq!(request(&dimmer, "GET /ws HTTP/1.1", &upgrade).status, 403);
        // To the browser, the site and this name are the same origin.
        let same = format!("{headers}origin: http://{host}:{port}\r\n");
        assert_eq!(put(&dimmer, &same).status, 403);
    }
    assert_eq!(dimmer.level("led").await, 50.0);
}

#[test]
fn the_names_and_addresses_of_this_machine_are_let_in() {
    let dimmer = TestServer::start();
    let own = rustix::system::uname();
    let own = own.nodename().to_str().unwrap();
    for host in [
        "127.0.0.1",
        "192.168.1.7",
        "[::1]",
        "localhost",
        "raspberrypi.local",
        "RaspberryPi.Local.",
        own,
    ] {
        for port in ["", ":5000"] {
            let headers = format!("Host: {host}{port}\r\n");
            assert_eq!(
                request(&dimmer, "GET / HTTP/1.1", &headers).status,
                200,
                "{host}"
            );
            let headers = format!("{headers}Origin: http://{host}{port}\r\n");
            assert_eq!(put(&dimmer, &headers).status, 200, "{host}");
        }
    }
}

#[test]
fn a_host_that_is_missing_doubled_broken_or_another_than_the_target_is_a_bad_request() {
    let dimmer = TestServer::start();
    for (line, headers, expected) in [
        ("GET / HTTP/1.1", "", 400),
        ("GET / HTTP/1.0", "", 400),
        ("GET / HTTP/1.0", "host: localhost\r\n", 200),
        ("GET / HTTP/1.0", "host: evil.example\r\n", 403),
        (
            "GET / HTTP/1.1",
            "host: localhost\r\nhost: localhost\r\n",
            400,
        ),
        (
            "GET / HTTP/1.1",
            "host: localhost\r\nHost: evil.example\r\n",
            400,
        ),
        ("GET / HTTP/1.1", "host: \r\n", 400),
        ("GET / HTTP/1.1", "host: localhost:\r\n", 400),
        ("GET / HTTP/1.1", "host: localhost:http\r\n", 400),
        ("GET / HTTP/1.1", "host: localhost:65536\r\n", 400),
        ("GET / HTTP/1.1", "host: ::1\r\n", 400),
        ("GET / HTTP/1.1", "host: evil.example@localhost\r\n", 400),
        ("GET / HTTP/1.1", "host: http://localhost\r\n", 400),
        ("GET http://localhost/ HTTP/1.1", "host: localhost\r\n", 200),
        (
            "GET http://evil.example/ HTTP/1.1",
            "host: localhost\r\n",
            400,
        ),
        (
            "GET http://evil.example/ HTTP/1.1",
            "host: evil.example\r\n",
            403,
        ),
        (
            "GET http://localhost@evil.example/ HTTP/1.1",
            "host: localhost\r\n",
            400,
        ),
        ("GET http://localhost/ HTTP/1.1", "", 400),
        (
            "CONNECT evil.example:80 HTTP/1.1",
            "host: evil.example:80\r\n",
            403,
        ),
        (
            "CONNECT evil.example:80 HTTP/1.1",
            "host: localhost\r\n",
            400,
        ),
    ] {
        let answer = request(&dimmer, line, headers);
        let body = &answer.body;
        assert_eq!(answer.status, expected, "{line} {headers:?}: {body}");
        if answer.status != 200 {
            let error = answer.error();
            assert!(!error.contains('\n') && error.contains("Host"), "{error}");
        }
    }
}

#[test]
fn allowed_hosts_may_be_the_host_and_the_origin() {
    let setup = Setup::with("allowed_hosts = [\"Dimmer.example\", \"10.0.0.9\"]\n");
    let dimmer = setup.start();
    for (host, origin, expected) in [
        ("dimmer.example", "https://dimmer.example", 200),
        // A proxy that passes its own host on.
        ("127.0.0.1:5000", "https://dimmer.example", 200),
        // Another service's page.
        ("raspberrypi.local:5000", "http://10.0.0.9:8123", 200),
        ("raspberrypi.local:5000", "http://10.0.0.8:8123", 403),
        ("a.dimmer.example", "https://dimmer.example", 403),
        ("evil.example", "https://dimmer.example", 403),
    ] {
        let headers = format!("host: {host}\r\norigin: {origin}\r\n");
        assert_eq!(
            put(&dimmer, &headers).status,
            expected,
            "{origin} at {host}"
        );
    }
}

#[test]
fn allowed_hosts_are_a_flag_and_a_variable_too() {
    for by_flag in [true, false] {
        let dimmer = Setup::new().start_with(|command| {
            match by_flag {
                true => command.args(["--allowed-hosts", "a.example,b.example"]),
                false => command.env("DIMMER_ALLOWED_HOSTS", "a.example,b.example"),
            };
        });
        for (host, expected) in [("a.example", 200), ("b.example", 200), ("c.example", 403)] {
            let headers = format!("host: {host}\r\n");
            assert_eq!(
                request(&dimmer, "GET / HTTP/1.1", &headers).status,
                expected
            );
        }
    }
}

#[tokio::test]
async fn no_answer_allows_other_sites_or_names_the_server() {
    let dimmer = TestServer::start();
    let client = reqwest::Client::new();
    for (path, host, status) in [
        ("/", "localhost", 200),
        (&dimmer.asset("main.js"), "localhost", 200),
        ("/nothing", "localhost", 404),
        ("/api/lights", "localhost", 200),
        ("/api/lights/cellar", "localhost", 404),
        ("/ws", "localhost", 400),
        ("/", "evil.example", 403),
    ] {
        let request = client.get(dimmer.url(path)).header("host", host);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), status, "{path}");
        let headers: &HeaderMap = answer.headers();
        assert_eq!(headers["x-content-type-options"], "nosniff", "{path}");
        for name in headers.keys() {
            let name = name.as_str();
            assert!(!name.starts_with("access-control-"), "{path}: {name}");
            assert!(
                !["server", "x-powered-by"].contains(&name),
                "{path}: {name}"
            );
        }
    }
}

/// The content security policy of a path.
async fn policy_of(dimmer: &TestServer, path: &str) -> String {
    let answer = reqwest::get(dimmer.url(path)).await.unwrap();
    let policy = &answer.headers()["content-security-policy"];
    policy.to_str().unwrap().into()
}

#[tokio::test]
async fn pages_of_allowed_hosts_and_no_others_may_frame_the_page_and_the_login() {
    let setup = Setup::with("allowed_hosts = [\"homeassistant.local\"]\n");
    let dimmer = setup.with_password("correct horse").start();
    // Without a session, this is where `/` leads.
    let ancestors = "frame-ancestors http://homeassistant.local:* https://homeassistant.local:*";
    assert!(policy_of(&dimmer, "/login").await.ends_with(ancestors));
    let dimmer = Setup::with("allowed_hosts = [\"homeassistant.local\"]\n").start();
    assert!(policy_of(&dimmer, "/").await.ends_with(ancestors));
}

#[tokio::test]
async fn the_page_runs_only_its_own_files_and_cannot_be_framed() {
    let dimmer = TestServer::start();
    let policy = policy_of(&dimmer, "/").await;
    for part in [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'none'",
    ] {
        assert!(policy.split(';').any(|has| has.trim() == part), "{policy}");
    }
    assert!(
        !policy.contains("unsafe") && !policy.contains('*'),
        "{policy}"
    );
}
