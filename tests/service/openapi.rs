//! The OpenAPI document, compared with the router, the documentation and the answers.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::common::{Setup, TestServer, until};
use reqwest::{Client, Method};
use serde_json::{Value, json};

async fn description(dimmer: &TestServer) -> Value {
    let answer = reqwest::get(dimmer.url("/api/openapi.json")).await.unwrap();
    answer.json().await.unwrap()
}

/// Each method with its path, as in `GET /api/lights`.
fn described(description: &Value) -> BTreeSet<String> {
    let paths = description["paths"].as_object().unwrap().iter();
    paths
        .flat_map(|(path, item)| {
            let methods = item.as_object().unwrap().keys();
            methods.map(move |method| format!("{} {path}", method.to_uppercase()))
        })
        .collect()
}

#[tokio::test]
async fn exactly_the_documented_routes_are_described() {
    let documented: BTreeSet<_> = include_str!("../../docs/wire.md")
        .split('`')
        .filter(|code| code.contains(" /api/"))
        .map(String::from)
        .collect();
    assert_eq!(
        described(&description(&TestServer::start()).await),
        documented
    );
}

/// The texts in the sources below a folder that begin with `/api/`.
fn paths_in_sources(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        // The document, and what generates it, names each path without routing it.
        if path.file_stem().is_some_and(|stem| stem == "openapi") {
            continue;
        }
        if path.is_dir() {
            paths_in_sources(&path, found);
            continue;
        }
        let source = fs::read_to_string(path).unwrap();
        let code = source.split("#[cfg(test)]").next().unwrap();
        let texts = code.split('"').filter(|text| text.starts_with("/api/"));
        found.extend(texts.map(String::from));
    }
}

#[tokio::test]
async fn every_route_of_the_router_is_described() {
    let mut routed = BTreeSet::new();
    paths_in_sources(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src/web"),
        &mut routed,
    );
    assert!(routed.remove("/api/{*rest}"), "where there is nothing");
    let description = description(&TestServer::start()).await;
    let described = description["paths"].as_object().unwrap().keys();
    assert_eq!(routed, described.cloned().collect());
}

/// Answers of a service, compared with the OpenAPI document.
struct Judge<'a> {
    dimmer: &'a TestServer,
    description: Value,
    /// The methods and paths that were requested.
    asked: BTreeSet<String>,
}

impl Judge<'_> {
    /// Sends a request, and asserts that the answer is as described.
    async fn request(&mut self, method: &str, path: &str, body: &str, status: u16) {
        let what = format!("{method} {path} {body}");
        let method: Method = method.parse().unwrap();
        let request = Client::new()
            .request(method.clone(), self.dimmer.url(path))
            .body(body.to_owned());
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), status, "{what}");

        let template = self.template(path);
        let operation = &self.description["paths"][&template][method.as_str().to_lowercase()];
        let response = &operation["responses"][status.to_string()];
        assert!(response.is_object(), "{what}: {status} is not described");
        let text = answer.text().await.unwrap();
        match response["content"]["application/json"]["schema"].as_object() {
            None => assert_eq!(text, "", "{what}"),
            Some(schema) => {
                let answer: Value = serde_json::from_str(&text).unwrap();
                self.check(schema.clone().into(), &answer);
            }
        }
        self.asked.insert(format!("{method} {template}"));
    }

    /// The described path that this path matches.
    fn template(&self, path: &str) -> String {
        let paths = self.description["paths"].as_object().unwrap();
        let fits = |template: &&String| {
            let (ours, theirs) = (path.split('/'), template.split('/'));
            ours.clone().count() == theirs.clone().count()
                && ours
                    .zip(theirs)
                    .all(|(our, their)| our == their || their.starts_with('{'))
        };
        paths.keys().find(fits).unwrap().clone()
    }

    fn check(&self, mut schema: Value, answer: &Value) {
        schema["components"] = self.description["components"].clone();
        let validator = jsonschema::draft202012::new(&schema).unwrap();
        let errors: Vec<_> = validator
            .iter_errors(answer)
            .map(|error| error.to_string())
            .collect();
        assert!(errors.is_empty(), "{answer}: {errors:?}");
    }
}

#[tokio::test]
async fn the_answers_are_as_described() {
    let dimmer = Setup::with("[[light]]\n[[light]]\nname = \"shelf\"\ngpio = 20\n").start();
    let description = description(&dimmer).await;
    let mut judge = Judge {
        dimmer: &dimmer,
        asked: BTreeSet::new(),
        description,
    };
    let large = " ".repeat(5000);
    let largest = " ".repeat(140_000);
    let backup = r#"{"version":1,"lights":{"led":{"level":7},"attic":{"level":1}}}"#;
    let bright = r#"{"version":1,"lights":{"led":{"level":142}}}"#;
    for (method, path, body, status) in [
        ("GET", "/api/openapi.json", "", 200),
        ("GET", "/api/backup", "", 200),
        ("PUT", "/api/backup", backup, 200),
        ("POST", "/api/backup", backup, 200),
        ("PUT", "/api/backup", "no JSON", 400),
        ("PUT", "/api/backup", bright, 422),
        ("PUT", "/api/backup", &largest, 413),
        ("GET", "/api/lights", "", 200),
        ("GET", "/api/lights/shelf", "", 200),
        ("GET", "/api/lights/none", "", 404),
        ("PUT", "/api/lights/led", r#"{"level":42.5}"#, 200),
        ("PUT", "/api/lights/led", r#"{"level":150}"#, 422),
        ("PUT", "/api/lights/led", "no JSON", 400),
        ("PUT", "/api/lights/none", r#"{"level":1}"#, 404),
        ("POST", "/api/lights/led", r#"{"step":1}"#, 200),
        (
            "PUT",
            "/api/lights",
            r#"{"lights":{"led":1,"shelf":{"on":false}},"transition":1}"#,
            200,
        ),
        ("POST", "/api/lights", r#"{"lights":{"led":2}}"#, 200),
        ("PUT", "/api/lights", r#"{"lights":{"led":101}}"#, 422),
        ("PUT", "/api/lights", r#"{"lights":{}}"#, 422),
        ("PUT", "/api/lights", r#"{"lights":{"none":1}}"#, 404),
        ("PUT", "/api/lights", "{}", 400),
        ("PUT", "/api/lights", &large, 413),
        ("POST", "/api/presets/Film", "", 200),
        ("PUT", "/api/lights/led", &large, 413),
        (
            "PUT",
            "/api/lights/led",
            r#"{"effect":"candle","speed":2}"#,
            200,
        ),
        (
            "PUT",
            "/api/lights/shelf",
            r#"{"level":9,"transition":60}"#,
            200,
        ),
        ("GET", "/api/lights", "", 200),
        ("GET", "/api/presets", "", 200),
        ("PUT", "/api/presets/Film", "", 200),
        (
            "PUT",
            "/api/presets/Dark",
            r#"{"lights":{"led":{"level":0}}}"#,
            200,
        ),
        (
            "PUT",
            "/api/presets/Dark",
            r#"{"lights":{"none":{"level":0}}}"#,
            404,
        ),
        ("PUT", "/api/presets/Dark", "[]", 400),
        ("PUT", "/api/presets/Dark", &large, 413),
        ("GET", "/api/presets", "", 200),
        ("POST", "/api/presets/Film/recall", "", 204),
        (
            "POST",
            "/api/presets/Film/recall",
            r#"{"transition":1}"#,
            204,
        ),
        (
            "POST",
            "/api/presets/Film/recall",
            r#"{"transition":-1}"#,
            422,
        ),
        ("POST", "/api/presets/Film/recall", "no JSON", 400),
        ("POST", "/api/presets/none/recall", "", 404),
        ("GET", "/api/timers", "", 200),
        (
            "POST",
            "/api/timers",
            r#"{"at":"07:00","days":["mon"],"effect":"sunrise","speed":2,"light":"led"}"#,
            200,
        ),
        (
            "POST",
            "/api/timers",
            r#"{"in":3600,"recall":"Film","transition":9,"name":"Night"}"#,
            200,
        ),
        ("POST", "/api/timers", r#"{"in":3600,"on":false}"#, 200),
        ("POST", "/api/timers", r#"{"in":3600,"level":9.5}"#, 200),
        ("GET", "/api/timers", "", 200),
        ("POST", "/api/timers", "{}", 400),
        ("POST", "/api/timers", r#"{"in":0,"on":true}"#, 422),
        (
            "POST",
            "/api/timers",
            r#"{"in":9,"on":true,"light":"none"}"#,
            404,
        ),
        ("POST", "/api/timers", &large, 413),
        ("GET", "/api/settings", "", 200),
        ("PUT", "/api/settings", r#"{"title":"Attic"}"#, 200),
        (
            "POST",
            "/api/settings",
            r#"{"lights":{"led":{"min_duty":2.5,"warmth":2700}}}"#,
            200,
        ),
        ("PUT", "/api/settings", r#"{"latitude":91}"#, 422),
        ("PUT", "/api/settings", "[]", 400),
        ("PUT", "/api/settings", r#"{"lights":{"none":{}}}"#, 404),
        ("PUT", "/api/settings", &large, 413),
        ("GET", "/api/cities", "", 200),
        ("GET", "/api/doctor", "", 200),
        ("GET", "/api/matter", "", 200),
        ("GET", "/api/matter/qr.svg", "", 409),
        ("POST", "/api/matter/open", "", 409),
        ("POST", "/api/matter/close", "", 409),
        ("POST", "/api/matter/reset", "", 409),
        ("DELETE", "/api/matter/fabrics/1", "", 409),
        ("POST", "/api/lights/led/greeted", "", 204),
        ("POST", "/api/lights/none/greeted", "", 404),
        ("DELETE", "/api/timers/Night", "", 204),
        ("DELETE", "/api/timers/Night", "", 404),
        ("DELETE", "/api/presets/Film", "", 204),
        ("DELETE", "/api/presets/Film", "", 404),
        ("GET", "/api/health", "", 200),
    ] {
        judge.request(method, path, body, status).await;
    }
    fs::remove_dir_all(dimmer.setup().trace_folder()).unwrap();
    judge
        .request("PUT", "/api/lights/led", r#"{"level":7}"#, 200)
        .await;
    let faulty = async || {
        let answer = reqwest::get(dimmer.url("/api/health")).await.unwrap();
        answer.status() == 503
    };
    until("the fault", faulty).await;
    judge.request("GET", "/api/health", "", 503).await;
    judge.request("GET", "/api/lights/led", "", 200).await;
    assert_eq!(judge.asked, described(&judge.description), "all were asked");
}

#[tokio::test]
async fn a_change_is_described_with_the_fields_that_are_read() {
    let dimmer = TestServer::start();
    let request = Client::new().put(dimmer.url("/api/lights/led"));
    let refused = request.body(r#"{"colour":1}"#).send().await.unwrap();
    let refused: Value = refused.json().await.unwrap();
    let (_, read) = refused["error"]
        .as_str()
        .unwrap()
        .split_once("there are ")
        .unwrap();
    let description = description(&dimmer).await;
    let described = &description["components"]["schemas"]["LightChange"]["properties"];
    let described: BTreeSet<_> = described
        .as_object()
        .unwrap()
        .keys()
        .map(|field| &**field)
        .collect();
    assert_eq!(described, read.split(", ").collect());
}

#[tokio::test]
async fn a_wrong_description_is_noticed() {
    let dimmer = TestServer::start();
    let description = description(&dimmer).await;
    let schema =
        json!({"$ref": "#/components/schemas/LightNow", "components": description["components"]});
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let url = dimmer.url("/api/lights/led");
    let light: Value = reqwest::get(url).await.unwrap().json().await.unwrap();
    assert!(validator.is_valid(&light));
    for (field, wrong) in [
        ("level", json!(100.5)),
        ("driver", json!("magic")),
        ("gpio", json!(28)),
        ("fault", json!(1)),
    ] {
        let mut light = light.clone();
        light[field] = wrong;
        assert!(!validator.is_valid(&light), "{light}");
    }
}
