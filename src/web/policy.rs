//! The content security policies of the page and of the login.

use axum::http::HeaderValue;

use crate::platform::host::Host;

/// The page may load its own files, and connect to its own service.
const PAGE: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'";

/// The login may load its own files, and sends its form to the service.
const LOGIN: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; \
    base-uri 'none'; form-action 'self'";

/// The policy of the page, which pages of the allowed hosts may frame.
pub fn page(allowed: &[Host]) -> HeaderValue {
    policy(PAGE, allowed)
}

/// The policy of the login, which pages of the allowed hosts may frame.
pub fn login(allowed: &[Host]) -> HeaderValue {
    policy(LOGIN, allowed)
}

fn policy(rules: &str, allowed: &[Host]) -> HeaderValue {
    let hosts = allowed.iter().filter_map(|host| match host {
        Host::Name(name) => Some(name.clone()),
        Host::Address(address) if address.is_ipv4() => Some(address.to_string()),
        // The policy has no form for IPv6 addresses.
        Host::Address(_) => None,
    });
    let sources: Vec<_> = hosts
        .map(|host| format!("http://{host}:* https://{host}:*"))
        .collect();
    let sources = match sources.is_empty() {
        true => "'none'".into(),
        false => sources.join(" "),
    };
    let text = format!("{rules}; frame-ancestors {sources}");
    HeaderValue::from_str(&text).expect("hosts are letters, digits, dots, hyphens and underscores")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allowed_hosts_and_no_others_may_frame_the_page_and_the_login() {
        let hosts = ["ha.local", "10.0.0.9", "fe80::1"].map(|host| host.parse().unwrap());
        for (allowed, sources) in [
            (&hosts[..0], "'none'"),
            (&hosts[2..], "'none'"),
            (
                &hosts[..],
                "http://ha.local:* https://ha.local:* http://10.0.0.9:* https://10.0.0.9:*",
            ),
        ] {
            for policy in [page(allowed), login(allowed)] {
                let (_, ancestors) = policy
                    .to_str()
                    .unwrap()
                    .split_once("; frame-ancestors ")
                    .unwrap();
                assert_eq!(ancestors, sources);
            }
        }
    }
}
