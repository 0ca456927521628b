//! The page's files, and HTTP's own rules for them.

use std::fs;
use std::path::Path;

use reqwest::{Client, Method, Response};

use crate::common::TestServer;

/// The names of all files below a folder.
fn names(folder: &Path, prefix: &str, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{prefix}{}", entry.file_name().to_str().unwrap());
        match entry.file_type().unwrap().is_dir() {
            true => names(&entry.path(), &format!("{name}/"), found),
            false => found.push(name),
        }
    }
}

async fn ask(
    dimmer: &TestServer,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
) -> Response {
    let mut request = Client::new().request(method, dimmer.url(path));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.unwrap()
}

fn header<'a>(answer: &'a Response, name: &str) -> &'a str {
    let value = answer.headers().get(name);
    value.map_or("", |value| value.to_str().unwrap())
}

#[tokio::test]
async fn every_file_of_the_page_is_addressed_by_its_content_guarded_and_compressed() {
    let dimmer = TestServer::start();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("web");
    let mut files = Vec::new();
    names(&folder, "", &mut files);
    assert!(files.contains(&"lights/slider.js".into()), "{files:?}");
    files.retain(|name| name != "index.html");
    let gzip = [("accept-encoding", "gzip")];
    for name in &files {
        let answer = ask(&dimmer, Method::GET, &dimmer.asset(name), &gzip).await;
        assert_eq!(answer.status(), 200, "{name}");
        let is_image = name.ends_with(".png");
        let encoding = if is_image { "" } else { "gzip" };
        assert_eq!(header(&answer, "content-encoding"), encoding, "{name}");
        assert_eq!(header(&answer, "x-content-type-options"), "nosniff");
        let cached = "max-age=31536000, immutable";
        assert_eq!(header(&answer, "cache-control"), cached, "{name}");
        let kind = match name.rsplit_once('.').unwrap().1 {
            "js" => "text/javascript",
            "css" => "text/css",
            "svg" => "image/svg+xml",
            "png" => "image/png",
            "webmanifest" => "application/manifest+json",
            other => panic!("no type for {other}"),
        };
        assert_eq!(header(&answer, "content-type"), kind, "{name}");
        if name.ends_with(".svg") {
            assert!(header(&answer, "content-security-policy").contains("default-src 'none'"));
        }
    }
    let answer = ask(&dimmer, Method::GET, "/", &gzip).await;
    assert_eq!(header(&answer, "content-encoding"), "gzip");
    assert_eq!(header(&answer, "cache-control"), "no-cache");
    assert!(header(&answer, "content-type").starts_with("text/html"));
}

#[tokio::test]
async fn the_files_of_another_version_and_what_is_no_file_are_not_there() {
    let dimmer = TestServer::start();
    let script = dimmer.asset("main.js");
    let version = script.split('/').nth(2).unwrap();
    for path in [
        "/main.js",
        "/index.html",
        "/assets/",
        "/assets/0000000000000000/main.js",
        &format!("/assets/{version}"),
        &format!("/assets/{version}/"),
        &format!("/assets/{version}/lights"),
        &format!("/assets/{version}/lights/"),
        &format!("/assets/{version}/main.js/"),
        &format!("/assets/{version}/main.js.gz.gz"),
        &format!("/assets/{version}/..%2fCargo.toml"),
        &format!("/assets/{version}/%2e%2e/%2e%2e/Cargo.toml"),
        &format!("/assets/{version}/../../web/main.js"),
        &format!("/assets/{version}//etc/passwd"),
    ] {
        let answer = dimmer.raw(format!(
            "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
        ));
        assert!(answer.starts_with("HTTP/1.1 404 "), "{path}: {answer}");
        assert!(!answer.contains("immutable"), "{path}: {answer}");
    }
}

#[tokio::test]
async fn what_a_browser_has_is_not_sent_again_however_it_asks() {
    let dimmer = TestServer::start();
    // It need not ask for the other files, so these have no tag.
    let script = ask(&dimmer, Method::GET, &dimmer.asset("main.js"), &[]).await;
    assert!(header(&script, "cache-control").contains("immutable"));
    assert_eq!(header(&script, "etag"), "");
    let answer = ask(&dimmer, Method::GET, "/", &[]).await;
    let tag = header(&answer, "etag").to_owned();
    assert!(tag.len() > 10, "{tag}");
    for (known, expected) in [
        (tag.clone(), 304),
        (format!("W/{tag}"), 304),
        (format!("\"a\", W/{tag}, \"b\""), 304),
        ("*".into(), 304),
        ("\"a\", \"b\"".into(), 200),
    ] {
        let known = [("if-none-match", known.as_str())];
        for method in [Method::GET, Method::HEAD] {
            let answer = ask(&dimmer, method, "/", &known).await;
            assert_eq!(answer.status(), expected, "{known:?}");
        }
    }
    // The times of files say nothing, so they are not asked.
    let later = [("if-modified-since", "Fri, 01 Jan 2038 00:00:00 GMT")];
    assert_eq!(ask(&dimmer, Method::GET, "/", &later).await.status(), 200);
}

#[tokio::test]
async fn a_head_is_answered_as_a_get_without_the_body_and_a_range_with_a_part() {
    let dimmer = TestServer::start();
    for path in ["/", &dimmer.asset("main.js")] {
        for encoding in ["gzip", "identity", "gzip;q=0", "br, gzip;q=0.5", "*"] {
            let accept = [("accept-encoding", encoding)];
            let head = ask(&dimmer, Method::HEAD, path, &accept).await;
            let get = ask(&dimmer, Method::GET, path, &accept).await;
            for name in ["content-type", "content-length", "content-encoding", "etag"] {
                assert_eq!(header(&head, name), header(&get, name), "{path}: {name}");
            }
            let refused = ["identity", "gzip;q=0"].contains(&encoding);
            let is_plain = header(&get, "content-encoding").is_empty();
            assert!(is_plain || !refused, "{path}: {encoding}");
            assert!(header(&get, "vary").contains("accept-encoding"), "{path}");
            assert_eq!(head.bytes().await.unwrap().len(), 0);
            assert!(get.bytes().await.unwrap().len() > 100);
        }
        let all = ask(&dimmer, Method::GET, path, &[]).await.bytes().await;
        let all = all.unwrap();
        let part = ask(&dimmer, Method::GET, path, &[("range", "bytes=5-9")]).await;
        assert_eq!(part.status(), 206);
        assert_eq!(part.bytes().await.unwrap(), all[5..=9]);
        let behind = ask(&dimmer, Method::GET, path, &[("range", "bytes=999999-")]).await;
        assert_eq!(behind.status(), 416);
    }
}
