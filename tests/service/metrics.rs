//! `/metrics`, and the dashboard that uses it.

use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::common::{Setup, TestServer, fetched, until};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

/// The metrics as they are written.
async fn text(dimmer: &TestServer) -> String {
    let answer = reqwest::get(dimmer.url("/metrics")).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let media_type = answer.headers()["content-type"].to_str().unwrap();
    assert!(media_type.starts_with("text/plain; version=0.0.4"));
    answer.text().await.unwrap()
}

/// The value of each sample.
async fn samples(dimmer: &TestServer) -> HashMap<String, f64> {
    let text = text(dimmer).await;
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, number) = line.rsplit_once(' ').unwrap();
            (name.into(), number.parse().unwrap())
        })
        .collect()
}

#[tokio::test]
async fn what_happens_is_counted_for_each_light() {
    let dimmer = Setup::with("[[light]]\n[[light]]\nname = \"shelf\"\ngpio = 20\n").start();
    drop(dimmer.client().await);
    let mut client = dimmer.client().await;
    let before = samples(&dimmer).await;
    for message in [json!(30), json!({"light": "shelf", "level": 150})] {
        client.send(message).await;
    }
    client.settled().await;
    let url = dimmer.url("/api/lights/shelf");
    Client::new().put(url).body("no JSON").send().await.unwrap();
    until(
        "the first client has left, and the pin has moved",
        async || {
            let now = samples(&dimmer).await;
            now["dimmer_pages"] == 1.0
                && now["dimmer_change_delay_seconds_count{light=\"led\"}"] == 1.0
        },
    )
    .await;

    let now = samples(&dimmer).await;
    let version = env!("CARGO_PKG_VERSION");
    for (name, expected) in [
        (&*format!("dimmer_build_info{{version=\"{version}\"}}"), 1.0),
        ("dimmer_pages_opened_total", 2.0),
        ("dimmer_refused_inputs_total", 2.0),
        ("dimmer_light_level_ratio{light=\"led\"}", 0.3),
        ("dimmer_light_level_ratio{light=\"shelf\"}", 0.5),
        ("dimmer_light_fault{light=\"led\"}", 0.0),
        ("dimmer_driver_failed_writes_total{light=\"led\"}", 0.0),
        ("dimmer_change_delay_seconds_count{light=\"shelf\"}", 0.0),
    ] {
        assert_eq!(now[name], expected, "{name}");
    }
    let more = |name: &str| now[name] - before[name];
    assert_eq!(more("dimmer_messages_total"), 3.0, "and one that settled");
    assert_eq!(more("dimmer_driver_writes_total{light=\"led\"}"), 1.0);
    assert_eq!(more("dimmer_driver_writes_total{light=\"shelf\"}"), 0.0);
    let delay = now["dimmer_change_delay_seconds_sum{light=\"led\"}"];
    assert!(delay > 0.0 && delay < 20.0, "{delay} s");
}

#[tokio::test]
async fn requests_timers_and_the_process_are_exported() {
    let started = SystemTime::now();
    let dimmer = TestServer::start();
    let http = Client::new();
    for _ in 0..3 {
        let url = dimmer.url("/api/lights/led");
        http.get(url).send().await.unwrap();
    }
    http.get(dimmer.url("/no/such/route")).send().await.unwrap();
    let forbidden = http.get(dimmer.url("/api/lights"));
    let forbidden = forbidden.header("origin", "http://evil.example");
    assert_eq!(forbidden.send().await.unwrap().status(), 403);
    let timer = json!({"in": 600, "on": false});
    let timers = http.post(dimmer.url("/api/timers"));
    timers.body(timer.to_string()).send().await.unwrap();
    let now = samples(&dimmer).await;
    for (name, expected) in [
        (
            r#"dimmer_http_requests_total{route="/api/lights/{name}",status="200"}"#,
            3.0,
        ),
        (
            r#"dimmer_http_requests_total{route="/api/lights",status="403"}"#,
            1.0,
        ),
        (
            r#"dimmer_http_requests_total{route="other",status="404"}"#,
            1.0,
        ),
        ("dimmer_timers", 1.0),
        ("dimmer_timers_due_total", 0.0),
    ] {
        assert_eq!(now[name], expected, "{name}");
    }
    assert_eq!(now.get("dimmer_mqtt_connected"), None, "there is no broker");
    let timer = json!({"name": "1", "in": 1, "on": false});
    let timers = http.post(dimmer.url("/api/timers"));
    timers.body(timer.to_string()).send().await.unwrap();
    until("it was due", async || {
        samples(&dimmer).await["dimmer_timers_due_total"] == 1.0
    })
    .await;
    // The start is only known to the second, as the time of the boot is.
    let since_1970 = started.duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
    let start = now["process_start_time_seconds"];
    assert!((start - since_1970).abs() < 60.0, "{start}, {since_1970}");
    let pages = now["process_resident_memory_bytes"];
    assert!((1e6..1e9).contains(&pages), "{pages}");
    assert!(now["process_virtual_memory_bytes"] > pages);
    let files = now["process_open_fds"];
    assert!((5.0..100.0).contains(&files), "{files}");
    assert!(now["process_max_fds"] > files);
    assert!((0.0..60.0).contains(&now["process_cpu_seconds_total"]));
}

#[tokio::test]
async fn a_driver_that_fails_is_exported_with_its_failed_writes() {
    let setup = Setup::new();
    fs::remove_dir(setup.trace_folder()).unwrap();
    let dimmer = setup.start();
    let (fault, failed) = (
        "dimmer_light_fault{light=\"led\"}",
        "dimmer_driver_failed_writes_total{light=\"led\"}",
    );
    until("the fault", async || samples(&dimmer).await[fault] == 1.0).await;
    assert!(samples(&dimmer).await[failed] > 0.0);
    fs::create_dir(dimmer.setup().trace_folder()).unwrap();
    until("the end of the fault", async || {
        samples(&dimmer).await[fault] == 0.0
    })
    .await;
    let now = samples(&dimmer).await;
    assert_eq!(
        now["dimmer_driver_writes_total{light=\"led\"}"],
        now[failed] + 1.0
    );
}

#[tokio::test]
async fn a_request_without_the_password_gets_no_metrics() {
    let dimmer = Setup::new().with_password("correct horse").start();
    let request = || Client::new().get(dimmer.url("/metrics"));
    let refused = request().send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    let allowed = request().bearer_auth("correct horse").send().await.unwrap();
    assert!(allowed.text().await.unwrap().contains("\ndimmer_pages 0\n"));
}

#[tokio::test]
#[ignore = "needs promtool of Prometheus; scripts/test.sh installs it and runs this"]
async fn promtool_finds_nothing_wrong() {
    let dimmer = TestServer::start();
    let folder = fetched("scripts/clients.sh", &["prometheus"]);
    let mut child = Command::new(folder.join("usr/bin/promtool"))
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let metrics = text(&dimmer).await;
    let mut input = child.stdin.take().unwrap();
    input.write_all(metrics.as_bytes()).unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    let words = [output.stdout, output.stderr].concat();
    assert_eq!(String::from_utf8(words).unwrap(), "");
    assert!(output.status.success());
}

/// Every query of the dashboard's panels.
fn queries(dashboard: &Value) -> Vec<&str> {
    let panels = dashboard["panels"].as_array().unwrap().iter();
    panels
        .flat_map(|panel| panel["targets"].as_array().unwrap())
        .map(|target| target["expr"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn the_dashboard_queries_only_exported_metrics() {
    let dimmer = Setup::with("[mqtt]\nbroker = \"mqtt://127.0.0.1:9\"\n").start();
    let exported = samples(&dimmer).await;
    let dashboard = serde_json::from_str(include_str!("../../docs/grafana.json")).unwrap();
    let queries = queries(&dashboard);
    assert!(queries.len() > 3);
    for query in queries {
        let start = query.find("dimmer_").expect(query);
        let rest = &query[start..];
        let end = rest.find(|letter: char| letter != '_' && !letter.is_ascii_alphanumeric());
        let name = &rest[..end.unwrap_or(rest.len())];
        let is_exported = |sample: &String| sample.split('{').next() == Some(name);
        assert!(exported.keys().any(is_exported), "{query}");
    }
}
