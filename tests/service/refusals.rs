//! Refusals: their codes, for the page to say in words, and their lines in the log; and other methods than a path has.

use reqwest::{Client, Method};
use serde_json::{Value, json};

use crate::common::{Answer, Setup, TestServer, UPGRADE};

fn request(dimmer: &TestServer, line: &str, headers: &str) -> Answer {
    let request = format!("{line} HTTP/1.1\r\n{headers}connection: close\r\n\r\n");
    Answer::parse(&dimmer.raw(request))
}

fn code(answer: &Answer) -> String {
    let body: Value = serde_json::from_str(&answer.body).unwrap();
    body["code"].as_str().unwrap_or_default().into()
}

#[tokio::test]
async fn the_page_learns_by_a_code_why_no_socket_is_opened() {
    let dimmer = Setup::with("max_pages = 2\nmax_pages_per_address = 1\n").start();
    let local = "host: localhost\r\n";
    let explain = |dimmer: &TestServer, headers: &str| request(dimmer, "POST /ws", headers);
    assert_eq!(explain(&dimmer, local).status, 204);
    for (headers, status, expected) in [
        ("host: evil.example\r\n", 403, "host"),
        (
            "host: pi.local\r\norigin: https://dimmer.example\r\n",
            403,
            "origin",
        ),
    ] {
        let answer = explain(&dimmer, headers);
        assert_eq!((answer.status, code(&answer).as_str()), (status, expected));
    }
    let _page = dimmer.client().await;
    let answer = explain(&dimmer, local);
    assert_eq!(
        (answer.status, code(&answer).as_str()),
        (503, "max_pages_per_address")
    );

    let dimmer = Setup::with("max_pages = 1\n").start();
    let _page = dimmer.client().await;
    let answer = explain(&dimmer, local);
    assert_eq!((answer.status, code(&answer).as_str()), (503, "max_pages"));

    let dimmer = Setup::new().with_password("correct horse").start();
    let answer = explain(&dimmer, local);
    assert_eq!((answer.status, code(&answer).as_str()), (401, "password"));
}

#[tokio::test]
async fn to_ask_why_counts_as_no_page() {
    let dimmer = TestServer::start();
    let mut page = dimmer.client().await;
    page.settled().await;
    assert_eq!(
        request(&dimmer, "POST /ws", "host: localhost\r\n").status,
        204
    );
    let news = page.settled().await;
    assert!(
        news.iter().all(|message| message["pages"].is_null()),
        "{news:?}"
    );
}

#[test]
fn a_socket_without_upgrade_is_refused_in_words() {
    let dimmer = TestServer::start();
    let headers = UPGRADE
        .replace("upgrade: websocket\r\n", "")
        .replace("upgrade, close", "close");
    let answer = request(&dimmer, "GET /ws", &format!("host: localhost\r\n{headers}"));
    assert_eq!(code(&answer), "upgrade");
    assert!(
        answer
            .error()
            .contains("a proxy in front must pass on Upgrade"),
        "{}",
        answer.error()
    );
}

#[test]
fn each_refusal_is_one_line_of_the_log_however_often_it_comes() {
    let dimmer = TestServer::start();
    for _ in 0..5 {
        request(&dimmer, "GET /", "host: a.example\r\n");
        request(
            &dimmer,
            "POST /ws",
            "host: pi.local\r\norigin: http://b.example\r\n",
        );
        request(&dimmer, "GET /ws", "host: localhost\r\n");
    }
    let lines = |dimmer: &TestServer, word: &str| {
        let log = dimmer.setup().log();
        log.lines()
            .filter(|line| line.contains("refused") && line.contains(word))
            .count()
    };
    for word in ["a.example", "b.example", "must pass on Upgrade"] {
        assert_eq!(lines(&dimmer, word), 1, "{word}");
    }
    for number in 0..100 {
        request(&dimmer, "GET /", &format!("host: c{number}.example\r\n"));
    }
    assert!(lines(&dimmer, "") <= 32, "{}", dimmer.setup().log());
}

#[tokio::test]
async fn a_method_that_a_path_does_not_have_is_answered_with_those_that_it_has() {
    let dimmer = TestServer::start();
    for (method, path, allowed) in [
        (Method::DELETE, "/api/lights/led", "GET, HEAD, PUT, POST"),
        (Method::DELETE, "/api/lights", "GET, HEAD, PUT, POST"),
        (Method::PUT, "/api/presets", "GET, HEAD"),
        (Method::POST, "/", "GET, HEAD"),
        (Method::PUT, "/ws", "GET, HEAD, POST"),
        (Method::PUT, &dimmer.asset("main.js"), "GET, HEAD"),
        (Method::GET, "/api/presets/Film/recall", "POST"),
    ] {
        let answer = Client::new()
            .request(method, dimmer.url(path))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 405, "{path}");
        let header = answer.headers()["allow"].to_str().unwrap().replace(' ', "");
        assert_eq!(header, allowed.replace(' ', ""), "{path}");
        let body: Value = answer.json().await.unwrap();
        let error = format!("the method must be one of {allowed}");
        assert_eq!(body, json!({ "error": error }), "{path}");
    }
}

#[tokio::test]
async fn post_does_what_put_does_for_clients_that_have_no_put() {
    let dimmer = TestServer::start();
    let (status, light) = dimmer
        .request(Method::POST, "/api/lights/led", r#"{"level": 30}"#)
        .await;
    assert_eq!((status, &light["level"]), (200, &json!(30)));
    let (status, preset) = dimmer.request(Method::POST, "/api/presets/Film", "").await;
    assert_eq!((status, &preset["name"]), (200, &json!("Film")));
}

#[tokio::test]
async fn numbers_may_be_texts_that_hold_them() {
    let dimmer = TestServer::start();
    for (body, level) in [
        (r#"{"level": "20", "transition": "0"}"#, 20.0),
        (r#"{"step": "5"}"#, 25.0),
        (r#"{"step": " -2.5 "}"#, 22.5),
        (r#"{"effect": "candle", "speed": "1.5"}"#, 22.5),
    ] {
        let (status, light) = dimmer.request(Method::PUT, "/api/lights/led", body).await;
        assert_eq!(status, 200, "{body}: {light}");
        assert_eq!(light["level"], level, "{body}");
    }
    for body in [
        r#"{"step": "five"}"#,
        r#"{"level": 1, "transition": ""}"#,
        r#"{"step": "NaN"}"#,
        r#"{"step": "inf"}"#,
    ] {
        let (status, answer) = dimmer.request(Method::PUT, "/api/lights/led", body).await;
        assert!(status == 400 || status == 422, "{body}: {answer}");
    }
}

#[test]
fn socket_io_needs_no_slash_and_an_address_may_name_its_zone() {
    let dimmer = TestServer::start();
    for path in ["/socket.io", "/socket.io/"] {
        let answer = request(
            &dimmer,
            &format!("GET {path}?EIO=4&transport=polling"),
            "host: localhost\r\n",
        );
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    }
    for host in ["[fe80::1%25eth0]:5000", "[fe80::1%wlan0]"] {
        assert_eq!(
            request(&dimmer, "GET /", &format!("host: {host}\r\n")).status,
            200
        );
    }
}
