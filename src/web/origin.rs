//! Refuses requests that other sites make a browser send, by the headers `Host` and `Origin`.
//!
//! Any site that someone on the LAN opens can make their browser send requests here. Two headers that no
//! script can set reveal this. `Origin` names the site, on each WebSocket and each PUT. `Host` names the
//! server that the browser believes it talks to: a site that has pointed its own name at this machine (DNS
//! rebinding) is of the same origin to the browser, but the name is still the site's.

use std::fs;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{HOST, ORIGIN, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::Response;
use thiserror::Error;

use crate::platform::host::{self, Authority, Host};
use crate::protocol::resource::RefusalCode;
use crate::web::response::refusal;

/// The most of a header's value that a response repeats, in characters.
const MAX_REPEATED: usize = 100;

/// The hosts that requests may name.
pub struct OriginCheck {
    /// The setting `allowed_hosts`.
    allowed: Vec<Host>,
    /// This machine's names in lower case. They are looked up for each request, as they may change.
    own_names: fn() -> Vec<String>,
}

/// Why a request is refused.
#[derive(Debug, Error)]
enum OriginError {
    #[error("a request must have one Host header, not {0}")]
    HostCount(usize),
    #[error("Host must be a name or an IP address, and its port, not {0:?}")]
    HostMalformed(String),
    #[error("Host must be the host of the request's target, {target:?}, not {host:?}")]
    Target { target: String, host: String },
    #[error(
        "Host must be an IP address, localhost, a .local name, this machine's name \
         or one of allowed_hosts, not {0:?}"
    )]
    Host(String),
    #[error("Origin must be the Host, {host:?}, or its host one of allowed_hosts, not {origin:?}")]
    Origin { host: String, origin: String },
}

impl OriginError {
    /// 400 for what RFC 9112, 3.2 calls malformed, otherwise 403.
    fn status(&self) -> StatusCode {
        match self {
            OriginError::HostCount(_)
            | OriginError::HostMalformed(_)
            | OriginError::Target { .. } => StatusCode::BAD_REQUEST,
            OriginError::Host(_) | OriginError::Origin { .. } => StatusCode::FORBIDDEN,
        }
    }

    fn code(&self) -> RefusalCode {
        match self {
            OriginError::Origin { .. } => RefusalCode::Origin,
            _ => RefusalCode::Host,
        }
    }
}

/// Passes a request on, or refuses it and says why. Every response tells the browser not to guess its type.
pub async fn check(
    State(origins): State<Arc<OriginCheck>>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = match origins.validate(request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(error) => refusal(error.status(), error.code(), error.to_string()),
    };
    let nosniff = HeaderValue::from_static("nosniff");
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, nosniff);
    response
}

impl OriginCheck {
    /// Allows requests to this machine, by its own names or the allowed ones.
    pub fn new(allowed: Vec<Host>) -> OriginCheck {
        OriginCheck { allowed, own_names }
    }

    fn validate(&self, target: &Uri, headers: &HeaderMap) -> Result<(), OriginError> {
        let hosts: Vec<_> = headers.get_all(HOST).iter().collect();
        let [host] = hosts[..] else {
            return Err(OriginError::HostCount(hosts.len()));
        };
        let authority = authority(host).ok_or_else(|| OriginError::HostMalformed(text(host)))?;
        // The form for proxies, `GET http://pi.local/`: there the target counts, so the two must agree.
        if let Some(target) = target.authority()
            && target.as_str().parse().ok().as_ref() != Some(&authority)
        {
            let (target, host) = (truncated(target.as_str()), text(host));
            return Err(OriginError::Target { target, host });
        }
        if !self.is_this_machine(&authority.host) {
            return Err(OriginError::Host(text(host)));
        }
        // A browser adds `Origin` to its requests for modules. Behind a proxy with a `Host` of its own the page has to run
        // all the same, to say so; and these files are no secret.
        if target.path().starts_with("/assets/") {
            return Ok(());
        }
        for origin in headers.get_all(ORIGIN) {
            if !self.is_allowed(origin, &authority) {
                let (host, origin) = (text(host), text(origin));
                return Err(OriginError::Origin { host, origin });
            }
        }
        Ok(())
    }

    /// Whether this is a name of this machine that no site can have given it.
    fn is_this_machine(&self, host: &Host) -> bool {
        match host {
            // DNS rebinding needs a name.
            Host::Address(_) => true,
            // `.local` is resolved on the LAN only, by mDNS.
            Host::Name(name) => {
                name == "localhost"
                    || name.ends_with(".local")
                    || self.allowed.contains(host)
                    || (self.own_names)().contains(name)
            }
        }
    }

    /// Whether the origin is that of this service's own page under that host, or an allowed one.
    fn is_allowed(&self, origin: &HeaderValue, host: &Authority) -> bool {
        let Some((scheme, rest)) = origin.to_str().ok().and_then(|text| text.split_once("://"))
        else {
            return false;
        };
        // https: a proxy in front may speak TLS.
        let port = match scheme {
            "http" => 80,
            "https" => 443,
            _ => return false,
        };
        let Ok(origin) = rest.parse::<Authority>() else {
            return false;
        };
        let same_port = origin.port.unwrap_or(port) == host.port.unwrap_or(port);
        (origin.host == host.host && same_port) || self.allowed.contains(&origin.host)
    }
}

fn authority(value: &HeaderValue) -> Option<Authority> {
    value.to_str().ok()?.parse().ok()
}

/// A header's value for a response, whatever bytes it has.
fn text(value: &HeaderValue) -> String {
    truncated(&String::from_utf8_lossy(value.as_bytes()))
}

fn truncated(text: &str) -> String {
    text.chars().take(MAX_REPEATED).collect()
}

/// This machine's names on the LAN: the host name, alone and in the LAN's domains.
fn own_names() -> Vec<String> {
    // The file is missing where no network was ever set up.
    let resolver = fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    names(&host::own_name(), &resolver)
}

/// The names for a host name, with or without its domain, and the text of `/etc/resolv.conf`.
fn names(name: &str, resolver: &str) -> Vec<String> {
    let short = name.split('.').next().unwrap_or(name);
    let domains = resolver.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        matches!(words.next()?, "search" | "domain").then_some(words)
    });
    let in_domains = domains
        .flatten()
        .map(|domain| format!("{short}.{}", domain.trim_matches('.').to_lowercase()));
    [name.into(), short.into()]
        .into_iter()
        .chain(in_domains)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origins() -> OriginCheck {
        OriginCheck {
            allowed: vec![
                "dimmer.example".parse().unwrap(),
                "10.0.0.9".parse().unwrap(),
            ],
            own_names: || names("kitchen", "search lan fritz.box\n"),
        }
    }

    /// The status for a request with this target and these headers: 200, 400 or 403.
    fn status(target: &str, headers: &[(&str, &[u8])]) -> u16 {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name: axum::http::HeaderName = name.parse().unwrap();
            map.append(name, HeaderValue::from_bytes(value).unwrap());
        }
        match origins().validate(&target.parse().unwrap(), &map) {
            Ok(()) => 200,
            Err(refusal) => refusal.status().as_u16(),
        }
    }

    #[test]
    fn a_host_that_a_site_cannot_forge_is_allowed_and_no_other() {
        for (host, expected) in [
            ("192.168.1.7:5000", 200),
            ("192.168.1.7", 200),
            ("8.8.8.8:1", 200),
            ("[::1]:5000", 200),
            ("[2001:db8::1]", 200),
            ("localhost:5000", 200),
            ("LOCALHOST.:5000", 200),
            ("raspberrypi.local:5000", 200),
            ("RaspberryPi.Local.", 200),
            ("a.b.local", 200),
            ("kitchen:5000", 200),
            ("Kitchen.Fritz.Box", 200),
            ("kitchen.lan.:80", 200),
            ("dimmer.example", 200),
            ("Dimmer.Example.:443", 200),
            ("evil.example", 403),
            ("kitchen.evil.example", 403),
            ("localhost.evil.example", 403),
            ("raspberrypi.local.evil.example", 403),
            ("192.168.1.7.evil.example", 403),
            ("192-168-1-7.evil.example", 403),
            ("a.dimmer.example", 403),
            ("dimmer.example.evil", 403),
            ("local", 403),
            ("notlocal", 403),
            ("lan", 403),
            ("foo.localhost", 403),
            ("2130706433", 403),
            ("0x7f.0.0.1", 403),
            ("", 400),
            (".local", 400),
            ("localhost:", 400),
            ("localhost:http", 400),
            ("localhost:99999", 400),
            ("localhost:5000:5000", 400),
            ("::1", 400),
            ("evil.example@localhost", 400),
            ("localhost@evil.example", 400),
            ("localhost:5000@evil.example", 400),
            ("http://localhost", 400),
            ("localhost, evil.example", 400),
            ("localhost/", 400),
        ] {
            assert_eq!(
                status("/", &[("host", host.as_bytes())]),
                expected,
                "{host:?}"
            );
        }
        assert_eq!(status("/", &[("host", b"caf\xe9.local")]), 400);
    }

    #[test]
    fn a_request_must_have_one_host() {
        assert_eq!(status("/", &[]), 400);
        let twice: [(&str, &[u8]); 2] = [("host", b"localhost"), ("host", b"localhost")];
        assert_eq!(status("/", &twice), 400);
    }

    #[test]
    fn a_target_with_a_host_must_agree_with_the_header() {
        for (target, host, expected) in [
            ("http://localhost:5000/ws", "localhost:5000", 200),
            ("http://LOCALHOST:5000/ws", "localhost:5000", 200),
            ("http://localhost:5000/ws", "localhost", 400),
            ("http://evil.example/", "localhost", 400),
            ("http://evil.example/", "evil.example", 403),
            ("http://evil.example@localhost/", "localhost", 400),
            ("http://localhost@evil.example/", "localhost", 400),
            ("localhost:5000", "localhost:5000", 200),
            ("evil.example:80", "localhost", 400),
        ] {
            let headers: [(&str, &[u8]); 1] = [("host", host.as_bytes())];
            assert_eq!(status(target, &headers), expected, "{target} at {host}");
        }
    }

    #[test]
    fn an_origin_must_be_the_host_itself_or_an_allowed_one() {
        for (host, origin, expected) in [
            ("pi.local:5000", "http://pi.local:5000", 200),
            ("PI.local:5000", "http://pi.local.:5000", 200),
            ("pi.local:5000", "https://pi.local:5000", 200),
            ("pi.local", "http://pi.local", 200),
            ("pi.local", "http://pi.local:80", 200),
            ("pi.local:80", "http://pi.local", 200),
            ("pi.local", "https://pi.local:443", 200),
            ("[::1]:5000", "http://[::1]:5000", 200),
            ("192.168.1.7:5000", "http://192.168.1.7:5000", 200),
            ("pi.local:5000", "https://dimmer.example", 200),
            ("127.0.0.1:5000", "http://10.0.0.9:8123", 200),
            ("pi.local:5000", "http://evil.example", 403),
            ("pi.local:5000", "http://evil.example:5000", 403),
            ("pi.local:5000", "http://other.local:5000", 403),
            ("pi.local:5000", "http://pi.local", 403),
            ("pi.local:5000", "http://pi.local:5001", 403),
            ("pi.local", "https://pi.local:80", 403),
            ("pi.local:80", "https://pi.local", 403),
            ("127.0.0.1:5000", "http://localhost:5000", 403),
            ("127.0.0.1:5000", "http://127.0.0.2:5000", 403),
            ("pi.local:5000", "null", 403),
            ("pi.local:5000", "", 403),
            ("pi.local:5000", "pi.local:5000", 403),
            ("pi.local:5000", "//pi.local:5000", 403),
            ("pi.local:5000", "ftp://pi.local:5000", 403),
            ("pi.local:5000", "file://", 403),
            ("pi.local:5000", "chrome-extension://dimmer.example", 403),
            ("pi.local:5000", "http://pi.local:5000/", 403),
            ("pi.local:5000", "http://pi.local:5000@evil.example", 403),
            ("pi.local:5000", "http://evil.example@pi.local:5000", 403),
            ("pi.local:5000", "http://evil.example#://pi.local:5000", 403),
            (
                "pi.local:5000",
                "http://pi.local:5000 http://evil.example",
                403,
            ),
            ("pi.local:5000", "https://a.dimmer.example", 403),
        ] {
            let headers = [("host", host.as_bytes()), ("origin", origin.as_bytes())];
            assert_eq!(status("/", &headers), expected, "{origin} at {host}");
        }
        let twice: [(&str, &[u8]); 3] = [
            ("host", b"pi.local"),
            ("origin", b"http://pi.local"),
            ("origin", b"http://evil.example"),
        ];
        assert_eq!(status("/", &twice), 403);
    }

    #[test]
    fn the_files_of_the_page_need_the_host_alone() {
        let site = [
            ("host", &b"pi.local"[..]),
            ("origin", b"http://evil.example"),
        ];
        assert_eq!(status("/assets/0/main.js", &site), 200);
        assert_eq!(status("/api/lights", &site), 403);
        let rebound = [("host", &b"evil.example"[..])];
        assert_eq!(status("/assets/0/main.js", &rebound), 403);
    }

    #[test]
    fn a_refusal_names_the_value_in_one_line_and_the_setting_that_allows_it() {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_static("evil.example"));
        let message = |headers: &HeaderMap| {
            let refusal = origins()
                .validate(&Uri::from_static("/"), headers)
                .unwrap_err();
            refusal.to_string()
        };
        assert_eq!(
            message(&headers),
            "Host must be an IP address, localhost, a .local name, this machine's name \
             or one of allowed_hosts, not \"evil.example\""
        );
        headers.insert(HOST, HeaderValue::from_static("pi.local"));
        headers.insert(ORIGIN, HeaderValue::from_static("http://evil.example"));
        assert_eq!(
            message(&headers),
            "Origin must be the Host, \"pi.local\", or its host one of allowed_hosts, \
             not \"http://evil.example\""
        );
        let long = "a".repeat(10_000);
        headers.insert(HOST, HeaderValue::from_str(&long).unwrap());
        assert!(message(&headers).len() < 300);
        headers.insert(HOST, HeaderValue::from_bytes(b"a\x80\tb").unwrap());
        assert!(!message(&headers).contains('\t'), "escaped");
    }

    #[test]
    fn this_machine_has_its_host_name_alone_and_in_the_domains_of_the_lan() {
        assert_eq!(names("kitchen", ""), ["kitchen", "kitchen"]);
        assert_eq!(
            names(
                "kitchen.home.arpa",
                "# made\nnameserver 10.0.0.1\nsearch LAN. fritz.box\n"
            ),
            [
                "kitchen.home.arpa",
                "kitchen",
                "kitchen.lan",
                "kitchen.fritz.box"
            ]
        );
        assert!(own_names().iter().all(|name| *name == name.to_lowercase()));
    }
}
