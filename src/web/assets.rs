//! The page's files: in the binary, or read from `web/` in debug builds.

use axum::Router;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use rust_embed::{EmbeddedFile, RustEmbed};
use tower_http::compression::CompressionLayer;

#[derive(RustEmbed)]
#[folder = "web/"]
struct Files;

/// The page's content security policy: it may load its own files, and connect to its own service.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' data:; connect-src 'self'; manifest-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Added to the page where a password is set: the script that goes to the login once the session has ended.
const SESSION_SCRIPT: &str = "  <script type=\"module\" src=\"session.js\"></script>\n</head>";

const JAVASCRIPT: &str = "text/javascript";

/// The routes of `/` and of the page's files.
pub fn router(with_login: bool) -> Router {
    Router::new()
        .route(
            "/",
            get(move |headers| async move { index(with_login, headers) }),
        )
        .route("/{name}", get(named))
        .route("/lights/{name}", get(named))
        .route("/sheet/{name}", get(named))
        .layer(CompressionLayer::new())
}

fn index(with_login: bool, headers: HeaderMap) -> Response {
    match Files::get("index.html") {
        Some(mut file) if with_login => {
            let page = String::from_utf8_lossy(&file.data).replace("</head>", SESSION_SCRIPT);
            file.data = page.into_bytes().into();
            let version = version(&file) + "-login";
            respond(file, version, "text/html; charset=utf-8", &headers)
        }
        _ => self::file("index.html", headers),
    }
}

/// The path is not decoded, so `%2F` and `..` lead nowhere.
async fn named(uri: Uri, headers: HeaderMap) -> Response {
    file(uri.path().trim_start_matches('/'), headers)
}

fn file(name: &str, headers: HeaderMap) -> Response {
    match Files::get(name).zip(content_type(name)) {
        Some((mut file, content_type)) => {
            let version = version(&file);
            if content_type == JAVASCRIPT {
                let script = String::from_utf8_lossy(&file.data);
                file.data = without_comments(&script).into_bytes().into();
            }
            respond(file, version, content_type, &headers)
        }
        None => (StatusCode::NOT_FOUND, "There is no such page here.\n").into_response(),
    }
}

/// The script without the lines that hold only a comment: a third of the modules' compressed bytes,
/// most of it types for the type check. Empty lines take their place, so that browsers report the
/// line numbers of the files.
fn without_comments(script: &str) -> String {
    let mut code = String::with_capacity(script.len());
    let mut in_block = false;
    for line in script.lines() {
        let text = line.trim();
        let opens = text.starts_with("/**") && (text.ends_with("*/") || !text.contains("*/"));
        let is_comment = in_block || opens || text.starts_with("//");
        if in_block || opens {
            in_block = !text.ends_with("*/");
        }
        if !is_comment {
            code.push_str(line);
        }
        code.push('\n');
    }
    code
}

/// The file, or 304 if the browser has it already. `version` has to differ whenever the file does.
fn respond(
    file: EmbeddedFile,
    version: String,
    content_type: &str,
    headers: &HeaderMap,
) -> Response {
    // Weak, as the file may be sent compressed or not.
    let tag = format!("W/\"{version}\"");
    // The browser asks every time, and a response that nothing has changed takes a few bytes.
    let common: [(HeaderName, &str); 3] = [
        (CACHE_CONTROL, "no-cache"),
        (ETAG, &tag),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    // Browsers apply the policy to documents only; on every script it would add 3 KB to each load.
    let policy = is_document(content_type).then_some([(CONTENT_SECURITY_POLICY, POLICY)]);
    let known = headers.get(IF_NONE_MATCH);
    if known.is_some_and(|known| known.as_bytes() == tag.as_bytes()) {
        return (StatusCode::NOT_MODIFIED, policy, common).into_response();
    }
    (common, policy, [(CONTENT_TYPE, content_type)], file.data).into_response()
}

fn is_document(content_type: &str) -> bool {
    content_type.starts_with("text/html") || content_type == "image/svg+xml"
}

fn version(file: &EmbeddedFile) -> String {
    let hash = file.metadata.sha256_hash();
    hash[..4].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// By the file's extension; files of other kinds are not served.
fn content_type(name: &str) -> Option<&'static str> {
    let (_, extension) = name.rsplit_once('.')?;
    Some(match extension {
        "html" => "text/html; charset=utf-8",
        // Without a charset: modules are always read as UTF-8, and styles as the page, which is UTF-8.
        "css" => "text/css",
        "js" => JAVASCRIPT,
        "svg" => "image/svg+xml",
        "webmanifest" => "application/manifest+json",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_lose_their_comments_but_no_code_and_no_line() {
        let script = "// Why.
/** @type {number} */
let a = 1; // ms
/**
 * What.
 * @param {string} b
 */
function c(b) {
  // Reason.
  return /** @type {any} */ (b);
}
/** @type {any} */ (d);
";
        let code = "

let a = 1; // ms




function c(b) {

  return /** @type {any} */ (b);
}
/** @type {any} */ (d);
";
        assert_eq!(without_comments(script), code);
    }

    /// In a template literal, which may span lines, such a line would be text.
    #[test]
    fn no_line_of_a_template_literal_looks_like_a_comment() {
        for name in Files::iter().filter(|name| name.ends_with(".js")) {
            let file = Files::get(&name).unwrap();
            let script = str::from_utf8(&file.data).unwrap();
            let mut backticks = 0;
            for (line, code) in script.lines().zip(without_comments(script).lines()) {
                assert!(line == code || backticks % 2 == 0, "{name}: {line}");
                backticks += code.matches('`').count();
            }
            assert_eq!(backticks % 2, 0, "{name}");
        }
    }
}
