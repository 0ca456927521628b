//! Found on the LAN: announces the service by mDNS, and lists those that others announce.
//!
//! A thread of its own answers for it. Where Avahi runs, as on Raspberry Pi OS, both hear every
//! question on port 5353; the name of the host and its addresses are the same to both, so that
//! neither takes the other for a stranger.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, ensure};
use mdns_sd::{
    DaemonEvent, IfKind, Receiver, ResolvedService, ServiceDaemon, ServiceEvent, ServiceInfo,
};
use tokio::time::timeout;
use tracing::{debug, info, warn};

use crate::model::lights::Light;
use crate::platform::host;

/// The services of this program.
const DIMMER: &str = "_dimmer._tcp.local.";
/// Pages of any kind, which browsers of the network show.
const HTTP: &str = "_http._tcp.local.";
/// How often the machine's addresses are looked up, in seconds: a new one is announced that soon.
const LOOK_UP: u32 = 60;
/// Time the goodbye may take.
const GOODBYE: Duration = Duration::from_millis(500);
/// Longest text with a list of lights: with its key, a text has at most 255 bytes.
const LIGHTS: usize = 240;

/// The service on the LAN, until it is told that it ends.
pub struct Announcement {
    daemon: ServiceDaemon,
}

impl Announcement {
    /// Announces the service at this address with these lights; `None` where nobody could reach it,
    /// as the address is this machine's alone.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn new(
        address: SocketAddr,
        encrypted: bool,
        lights: &[Light],
    ) -> anyhow::Result<Option<Announcement>> {
        if address.ip().is_loopback() {
            return Ok(None);
        }
        let daemon = ServiceDaemon::new().context("cannot announce the service")?;
        daemon.set_ip_check_interval(LOOK_UP)?;
        daemon.disable_interface(vec![IfKind::LoopbackV4, IfKind::LoopbackV6])?;
        if address.is_ipv4() {
            // An address of IPv6 would lead nowhere.
            daemon.disable_interface(IfKind::IPv6)?;
        }
        let names = names(lights);
        let about = [
            ("version", env!("CARGO_PKG_VERSION")),
            ("path", "/"),
            ("tls", if encrypted { "yes" } else { "no" }),
            ("lights", &names),
        ];
        for kind in [DIMMER, HTTP] {
            daemon.register(described(kind, address, &about)?)?;
        }
        info!("announced on the LAN as {}.local", host::own_label());
        Ok(Some(Announcement { daemon }))
    }

    /// Logs what happens to the announcement; ends if the thread that answers does.
    ///
    /// # Errors
    /// The thread has ended already.
    pub fn log(&self) -> anyhow::Result<impl Future<Output = anyhow::Result<()>> + use<>> {
        let events = self.daemon.monitor()?;
        Ok(async move {
            log(events).await;
            Ok(())
        })
    }

    /// Says goodbye, so that nobody looks for it.
    pub async fn end(self) {
        if let Ok(ended) = self.daemon.shutdown() {
            let _ = timeout(GOODBYE, ended.recv_async()).await;
        }
    }
}

/// The service as one of this kind.
fn described(
    kind: &str,
    address: SocketAddr,
    about: &[(&str, &str)],
) -> mdns_sd::Result<ServiceInfo> {
    let name = host::own_label();
    let host = format!("{name}.local.");
    let port = address.port();
    if address.ip().is_unspecified() {
        Ok(ServiceInfo::new(kind, &name, &host, "", port, about)?.enable_addr_auto())
    } else {
        ServiceInfo::new(kind, &name, &host, address.ip(), port, about)
    }
}

/// The names of the lights, as many as there is room for.
fn names(lights: &[Light]) -> String {
    let mut names = String::new();
    for light in lights {
        if names.len() + 1 + light.name.len() > LIGHTS {
            break;
        }
        if !names.is_empty() {
            names.push(',');
        }
        names += &light.name;
    }
    names
}

/// Logs what happens to the announcement, until the thread that answers has ended.
async fn log(events: Receiver<DaemonEvent>) {
    while let Ok(event) = events.recv_async().await {
        match event {
            DaemonEvent::NameChange(change) => warn!(
                "another machine has the name {}, so this one is announced as {}",
                change.original, change.new_name
            ),
            DaemonEvent::Error(error) => warn!("mDNS: {error}"),
            other => debug!("mDNS: {other:?}"),
        }
    }
}

/// A service that somebody announces.
struct Found {
    url: String,
    addresses: Vec<IpAddr>,
    lights: String,
}

impl Found {
    fn new(service: &ResolvedService) -> Found {
        let about = |key| service.get_property_val_str(key).unwrap_or_default();
        let scheme = if about("tls") == "yes" {
            "https"
        } else {
            "http"
        };
        let host = service.host.trim_end_matches('.');
        let addresses = service.addresses.iter().map(|address| address.to_ip_addr());
        let mut addresses: Vec<_> = addresses.filter(|ip| !is_link_local(*ip)).collect();
        addresses.sort();
        Found {
            url: printable(&format!("{scheme}://{host}:{}", service.port)),
            addresses,
            lights: printable(about("lights")),
        }
    }
}

/// Whether an address needs a zone beside it, which no browser takes.
fn is_link_local(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local())
}

/// A text of somebody else, for a terminal that obeys control characters.
fn printable(text: &str) -> String {
    text.replace(char::is_control, "?")
}

/// Every service on the LAN that answers within this time, a line each: its name, URL, addresses and
/// lights.
///
/// # Errors
/// None does, or the question cannot be asked.
pub async fn list(time: Duration) -> anyhow::Result<String> {
    let daemon = ServiceDaemon::new().context("cannot ask the LAN")?;
    let events = daemon.browse(DIMMER)?;
    let mut found = BTreeMap::new();
    let hear = async {
        while let Ok(event) = events.recv_async().await {
            match event {
                ServiceEvent::ServiceResolved(service) => {
                    found.insert(service.fullname.clone(), Found::new(&service));
                }
                ServiceEvent::ServiceRemoved(_, name) => {
                    found.remove(&name);
                }
                _ => {}
            }
        }
    };
    let _ = timeout(time, hear).await;
    ensure!(
        !found.is_empty(),
        "no dimmer answered within {time:?}: it may be off, in another network, or have mdns = false"
    );
    Ok(found
        .iter()
        .map(|(name, found)| line(name, found))
        .collect())
}

fn line(name: &str, found: &Found) -> String {
    let name = name.split("._dimmer.").next().unwrap_or_default();
    let name = printable(name);
    let addresses: Vec<_> = found.addresses.iter().map(IpAddr::to_string).collect();
    let Found { url, lights, .. } = found;
    format!("{name}  {url}  {}  {lights}\n", addresses.join(","))
}
