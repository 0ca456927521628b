//! mDNS: announces the service on the LAN, and lists the services that other machines announce.
//!
//! A thread of the library answers queries. Where Avahi runs, as on Raspberry Pi OS, both receive every
//! query on port 5353; both announce the same host name and addresses, so that neither sees a conflict.

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
use crate::model::text::printable;
use crate::platform::host;

/// The type of this program's services.
const DIMMER: &str = "_dimmer._tcp.local.";
/// The type of web pages, which network browsers show.
const HTTP: &str = "_http._tcp.local.";
/// Seconds between two checks of the machine's addresses: the longest until a new one is announced.
const ADDRESS_CHECK: u32 = 60;
/// Longest time for the goodbye.
const GOODBYE: Duration = Duration::from_millis(500);
/// Longest list of lights in bytes: with its key, a TXT string has at most 255 bytes.
const MAX_LIGHT_NAMES: usize = 240;

/// The URL of the service under the name that is announced; `None` if `address` is a loopback address.
pub fn url(address: SocketAddr, encrypted: bool) -> Option<String> {
    let scheme = if encrypted { "https" } else { "http" };
    let (name, port) = (host::own_label(), address.port());
    (!address.ip().is_loopback()).then(|| format!("{scheme}://{name}.local:{port}"))
}

/// The announcement of the service on the LAN.
pub struct Announcement {
    daemon: ServiceDaemon,
    events: Receiver<DaemonEvent>,
}

impl Announcement {
    /// Announces the service with these lights; `None` if `address` is a loopback address, which no
    /// other machine can reach.
    ///
    /// # Errors
    /// The thread or its socket cannot be opened.
    pub fn new(
        address: SocketAddr,
        encrypted: bool,
        lights: &[Light],
    ) -> anyhow::Result<Option<Announcement>> {
        if address.ip().is_loopback() {
            return Ok(None);
        }
        let daemon = ServiceDaemon::new().context("cannot announce the service")?;
        daemon.set_ip_check_interval(ADDRESS_CHECK)?;
        daemon.disable_interface(vec![IfKind::LoopbackV4, IfKind::LoopbackV6])?;
        if address.is_ipv4() {
            // The service does not listen on IPv6.
            daemon.disable_interface(IfKind::IPv6)?;
        }
        // Before anything happens that is to be logged.
        let events = daemon.monitor()?;
        let names = light_names(lights);
        let properties = [
            ("version", env!("CARGO_PKG_VERSION")),
            ("path", "/"),
            ("tls", if encrypted { "yes" } else { "no" }),
            ("lights", &names),
        ];
        for kind in [DIMMER, HTTP] {
            daemon.register(service_info(kind, address, &properties)?)?;
        }
        info!("announced on the LAN as {}.local", host::own_label());
        Ok(Some(Announcement { daemon, events }))
    }

    /// Logs the events of the announcement. The future ends if the thread does.
    pub fn log(&self) -> impl Future<Output = anyhow::Result<()>> + use<> {
        let events = self.events.clone();
        async move {
            log_events(events).await;
            Ok(())
        }
    }

    /// Withdraws the announcement, so that other machines forget the service at once.
    pub async fn end(self) {
        if let Ok(ended) = self.daemon.shutdown() {
            let _ = timeout(GOODBYE, ended.recv_async()).await;
        }
    }
}

/// The announcement as a service of this type.
fn service_info(
    kind: &str,
    address: SocketAddr,
    properties: &[(&str, &str)],
) -> mdns_sd::Result<ServiceInfo> {
    let name = host::own_label();
    let host = format!("{name}.local.");
    let port = address.port();
    if address.ip().is_unspecified() {
        Ok(ServiceInfo::new(kind, &name, &host, "", port, properties)?.enable_addr_auto())
    } else {
        ServiceInfo::new(kind, &name, &host, address.ip(), port, properties)
    }
}

/// The names of the lights, as many as fit.
fn light_names(lights: &[Light]) -> String {
    let mut names = String::new();
    for light in lights {
        if names.len() + 1 + light.name.len() > MAX_LIGHT_NAMES {
            break;
        }
        if !names.is_empty() {
            names.push(',');
        }
        names += &light.name;
    }
    names
}

/// Logs events until the thread ends.
async fn log_events(events: Receiver<DaemonEvent>) {
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

/// A service that a machine announces.
struct FoundService {
    url: String,
    addresses: Vec<IpAddr>,
    lights: String,
}

impl FoundService {
    fn new(service: &ResolvedService) -> FoundService {
        let property = |key| service.get_property_val_str(key).unwrap_or_default();
        let scheme = if property("tls") == "yes" {
            "https"
        } else {
            "http"
        };
        let host = service.host.trim_end_matches('.');
        let addresses = service.addresses.iter().map(|address| address.to_ip_addr());
        let mut addresses: Vec<_> = addresses.filter(|ip| !is_link_local(*ip)).collect();
        addresses.sort();
        FoundService {
            url: printable(&format!("{scheme}://{host}:{}", service.port)),
            addresses,
            lights: printable(property("lights")),
        }
    }
}

/// Whether an address needs a zone, which browsers do not accept.
fn is_link_local(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local())
}

/// Lists the services on the LAN that answer within this time, one a line: name, URL, addresses and
/// lights.
///
/// # Errors
/// No service answers, or the query cannot be sent.
pub async fn list(time: Duration) -> anyhow::Result<String> {
    let daemon = ServiceDaemon::new().context("cannot query the LAN")?;
    let events = daemon.browse(DIMMER)?;
    let mut found = BTreeMap::new();
    let collect = async {
        while let Ok(event) = events.recv_async().await {
            match event {
                ServiceEvent::ServiceResolved(service) => {
                    found.insert(service.fullname.clone(), FoundService::new(&service));
                }
                ServiceEvent::ServiceRemoved(_, name) => {
                    found.remove(&name);
                }
                _ => {}
            }
        }
    };
    let _ = timeout(time, collect).await;
    ensure!(
        !found.is_empty(),
        "no dimmer answered within {time:?}: it may be off, in another network, or have mdns = false"
    );
    Ok(found
        .iter()
        .map(|(name, service)| line(name, service))
        .collect())
}

fn line(name: &str, service: &FoundService) -> String {
    let name = name.split("._dimmer.").next().unwrap_or_default();
    let name = printable(name);
    let addresses: Vec<_> = service.addresses.iter().map(IpAddr::to_string).collect();
    let FoundService { url, lights, .. } = service;
    format!("{name}  {url}  {}  {lights}\n", addresses.join(","))
}
