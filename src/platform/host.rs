//! Hosts and ports in the format of the headers `Host` and `Origin` and of the settings.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use if_addrs::IfAddr;
use thiserror::Error;

/// A machine, by its address or its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// An IP address; an IPv4-mapped IPv6 address becomes IPv4.
    Address(IpAddr),
    /// A name in lower case, without a dot at the end.
    Name(String),
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Address(address) => address.fmt(f),
            Host::Name(name) => f.write_str(name),
        }
    }
}

/// A host, with or without a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    /// The host.
    pub host: Host,
    /// The port; `None` for the default of the scheme.
    pub port: Option<u16>,
}

/// The name of this machine in lower case, with its domain if there is one.
pub fn own_name() -> String {
    let system = rustix::system::uname();
    system.nodename().to_string_lossy().to_lowercase()
}

/// The name of this machine without its domain.
pub fn own_label() -> String {
    let name = own_name();
    name.split('.').next().unwrap_or(&name).into()
}

/// The error of a text that is not a host.
#[derive(Debug, Error)]
#[error("must be a name or an IP address, without scheme and port, not {0:?}")]
pub struct InvalidHost(String);

impl FromStr for Host {
    type Err = InvalidHost;

    /// Parses a name, an IPv4 address, or an IPv6 address with or without brackets.
    fn from_str(text: &str) -> Result<Host, InvalidHost> {
        let error = || InvalidHost(text.into());
        if let Some(rest) = text.strip_prefix('[') {
            let address = rest.strip_suffix(']').ok_or_else(error)?;
            let (address, zone) = match address.split_once('%') {
                Some((address, zone)) => (address, Some(zone)),
                None => (address, None),
            };
            let address: Ipv6Addr = address.parse().map_err(|_| error())?;
            // The zone is a name for the interface on the sender's side, which means nothing here.
            let is_zone = |zone: &str| {
                let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%".contains(&byte);
                address.is_unicast_link_local() && !zone.is_empty() && zone.bytes().all(letter)
            };
            if !zone.is_none_or(is_zone) {
                return Err(error());
            }
            return Ok(Host::Address(IpAddr::from(address).to_canonical()));
        }
        if let Ok(address) = text.parse::<Ipv6Addr>() {
            return Ok(Host::Address(IpAddr::from(address).to_canonical()));
        }
        // DNS and browsers take `pi.lan.` for `pi.lan`.
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        if let Ok(address) = name.parse::<Ipv4Addr>() {
            return Ok(Host::Address(address.into()));
        }
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let label = |label: &str| !label.is_empty() && label.bytes().all(letter);
        if name.len() <= 253 && name.split('.').all(label) {
            Ok(Host::Name(name))
        } else {
            Err(error())
        }
    }
}

impl FromStr for Authority {
    type Err = InvalidHost;

    /// Parses `host` or `host:port`; an IPv6 address needs brackets.
    fn from_str(text: &str) -> Result<Authority, InvalidHost> {
        let error = || InvalidHost(text.into());
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (text, None),
        };
        if host.contains(':') && !host.starts_with('[') {
            return Err(error());
        }
        // Rust would also accept `+80`.
        let port = match port {
            Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
                Some(port.parse().map_err(|_| error())?)
            }
            Some(_) => return Err(error()),
            None => None,
        };
        Ok(Authority {
            host: host.parse()?,
            port,
        })
    }
}

/// Whether an address is of this machine, or in a network that it is connected to directly.
pub fn is_on_lan(address: IpAddr) -> bool {
    let same = |address: u128, own: u128, mask: u128| (address ^ own) & mask == 0;
    match address.to_canonical() {
        address if address.is_loopback() => true,
        IpAddr::V4(address) => own_addresses().any(|own| match own {
            IfAddr::V4(own) => same(
                address.to_bits().into(),
                own.ip.to_bits().into(),
                own.netmask.to_bits().into(),
            ),
            IfAddr::V6(_) => false,
        }),
        IpAddr::V6(address) => is_on_link(address),
    }
}

fn own_addresses() -> impl Iterator<Item = IfAddr> {
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    interfaces.into_iter().map(|interface| interface.addr)
}

/// Whether an IPv6 address is link-local, or in the /64 of an address of this machine.
pub fn is_on_link(address: Ipv6Addr) -> bool {
    address.is_unicast_link_local()
        || own_addresses().any(|own| match own.ip() {
            IpAddr::V6(own) => (own.to_bits() ^ address.to_bits()) >> 64 == 0,
            IpAddr::V4(_) => false,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_and_its_networks_are_the_lan() {
        let on_lan = |text: &str| is_on_lan(text.parse().unwrap());
        for own in [
            "127.0.0.1",
            "127.9.9.9",
            "::1",
            "::ffff:127.0.0.1",
            "fe80::1",
        ] {
            assert!(on_lan(own), "{own}");
        }
        for interface in if_addrs::get_if_addrs().unwrap() {
            assert!(is_on_lan(interface.ip()), "{interface:?}");
        }
        // Those of documents (RFC 5737, 3849): a test machine may use one of them, but not all.
        for others in [
            ["192.0.2.9", "203.0.113.9"],
            ["2001:db8::9", "::ffff:198.51.100.9"],
        ] {
            assert!(others.iter().any(|other| !on_lan(other)), "{others:?}");
        }
    }

    fn name(name: &str) -> Host {
        Host::Name(name.into())
    }

    fn address(address: &str) -> Host {
        Host::Address(address.parse().unwrap())
    }

    #[test]
    fn a_host_is_parsed_as_browsers_write_it() {
        for (text, host, port) in [
            ("localhost", name("localhost"), None),
            ("LocalHost:5000", name("localhost"), Some(5000)),
            ("raspberrypi.local.", name("raspberrypi.local"), None),
            ("RaspberryPi.Local.:80", name("raspberrypi.local"), Some(80)),
            ("my_pi-2", name("my_pi-2"), None),
            ("192.168.1.7:5000", address("192.168.1.7"), Some(5000)),
            ("127.0.0.1.", address("127.0.0.1"), None),
            ("[::1]", address("::1"), None),
            ("[FE80::1]:65535", address("fe80::1"), Some(65535)),
            ("[fe80::1%25eth0]:5000", address("fe80::1"), Some(5000)),
            ("[fe80::1%wlan0.1]", address("fe80::1"), None),
            ("[::ffff:10.0.0.1]:1", address("10.0.0.1"), Some(1)),
            // Names, as browsers write addresses in full.
            ("2130706433", name("2130706433"), None),
            ("0x7f.1", name("0x7f.1"), None),
            ("127.0.0.01", name("127.0.0.01"), None),
        ] {
            let authority: Authority = text.parse().unwrap();
            assert_eq!(authority, Authority { host, port }, "{text}");
        }
    }

    #[test]
    fn a_text_that_is_not_a_host_is_refused() {
        for text in [
            "",
            ".",
            ":80",
            ".local",
            "a..local",
            "pi.local..",
            "pi:",
            "pi:port",
            "pi:+80",
            "pi:-1",
            "pi:65536",
            "pi:80:80",
            "::1",
            "[::1",
            "[::1]80",
            "[pi]",
            "[127.0.0.1]",
            "[fe80::1%]",
            "[fe80::1%eth0/evil]",
            "[2001:db8::1%eth0]",
            "user@localhost",
            "localhost@evil.example",
            "localhost:80@evil.example",
            "localhost/evil",
            "localhost#evil",
            "localhost\\evil",
            "http://localhost",
            "local host",
            "*",
            "*.local",
            "küche.local",
            "localhost,evil",
            &"a".repeat(254),
        ] {
            assert!(text.parse::<Authority>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_host_alone_has_no_port() {
        for text in ["pi.lan", "10.0.0.1", "::1", "[::1]"] {
            assert!(text.parse::<Host>().is_ok(), "{text}");
        }
        for text in ["pi.lan:80", "http://pi.lan", "10.0.0.1:80", "[::1]:80", ""] {
            assert!(text.parse::<Host>().is_err(), "{text}");
        }
    }
}
