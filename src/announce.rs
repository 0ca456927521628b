//! Tells on standard output where the page is, so that a phone finds it.

use std::io::{self, IsTerminal, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use dimmer::model::lights::Light;
use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;

/// Prints the lights and the page's addresses; in a terminal, the first as a QR code, too.
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
    // With nobody reading there is nobody to tell.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// The page's addresses, a line each, and the first as a QR code if that is wanted and a phone can
/// reach it.
pub fn addresses(address: SocketAddr, scheme: &str, with_code: bool) -> String {
    let urls = urls(address, scheme);
    let mut text: String = urls.iter().map(|url| format!("open {url}\n")).collect();
    if with_code
        && !address.ip().is_loopback()
        && let Some(code) = urls.first().and_then(|url| QrCode::new(url).ok())
    {
        // Light on dark, as terminals mostly are; phones read either.
        let picture = code
            .render::<Dense1x2>()
            .dark_color(Dense1x2::Light)
            .light_color(Dense1x2::Dark)
            .build();
        text += &format!("\n{picture}\n");
    }
    text
}

/// Where the page can be opened: first from a phone, last from this machine.
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
        .filter(|ip| reachable(*ip, address.is_ipv6()))
        .map(|ip| format!("{scheme}://{}", SocketAddr::new(ip, port)))
        .collect();
    urls.push(format!(
        "{scheme}://{}",
        SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port)
    ));
    urls
}

/// Whether a browser can open the address: a link-local one of IPv6 needs a zone, which no browser
/// takes.
fn reachable(ip: IpAddr, with_ipv6: bool) -> bool {
    match ip {
        IpAddr::V4(ip) => !ip.is_link_local(),
        IpAddr::V6(ip) => with_ipv6 && !ip.is_unicast_link_local(),
    }
}
