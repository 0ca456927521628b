//! Prints the page's URLs on standard output, so that people can open it on a phone.

use std::io::{self, IsTerminal, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use dimmer::model::lights::Light;
use dimmer::platform::terminal::qr_code;

/// Prints the lights and the page's URLs; in a terminal also the first URL as a QR code.
pub fn print(address: SocketAddr, encrypted: bool, lights: &[Light]) {
    let mut text = format!("dimmer {}\n", env!("CARGO_PKG_VERSION"));
    for light in lights {
        let Light {
            name, gpio, driver, ..
        } = light;
        text += &format!("light {name}: GPIO {gpio}, {}\n", driver.name());
    }
    let scheme = if encrypted { "https" } else { "http" };
    text += &addresses(address, scheme, io::stdout().is_terminal());
    let mut out = io::stdout().lock();
    // Standard output may be closed; the service runs without it.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// The page's URLs, one a line, and the first as a QR code, unless that is not wanted or no phone can
/// reach it.
pub fn addresses(address: SocketAddr, scheme: &str, with_code: bool) -> String {
    let urls = urls(address, scheme);
    let mut text: String = urls.iter().map(|url| format!("open {url}\n")).collect();
    if with_code
        && !address.ip().is_loopback()
        && let Some(picture) = urls.first().and_then(|url| qr_code(url))
    {
        text += &picture;
    }
    text
}

/// The URLs of the page: first those that phones can open, then the one for this machine.
fn urls(address: SocketAddr, scheme: &str) -> Vec<String> {
    if !address.ip().is_unspecified() {
        return vec![format!("{scheme}://{address}")];
    }
    let port = address.port();
    let mut urls: Vec<_> = if_addrs::get_if_addrs()
        .unwrap_or_default()
        .into_iter()
        .filter(|interface| interface.is_oper_up() && !interface.is_loopback())
        .map(|interface| interface.ip())
        .filter(|ip| is_reachable(*ip, address.is_ipv6()))
        .map(|ip| format!("{scheme}://{}", SocketAddr::new(ip, port)))
        .collect();
    urls.push(format!(
        "{scheme}://{}",
        SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port)
    ));
    urls
}

/// Whether a browser can open the address: a link-local IPv6 address needs a zone, which browsers do
/// not accept.
fn is_reachable(ip: IpAddr, with_ipv6: bool) -> bool {
    match ip {
        IpAddr::V4(ip) => !ip.is_link_local(),
        IpAddr::V6(ip) => with_ipv6 && !ip.is_unicast_link_local(),
    }
}
