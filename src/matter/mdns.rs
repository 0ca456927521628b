//! Announces Matter's services on the LAN, and answers who asks for them: by multicast DNS over IPv6, which Matter
//! needs in any case.
//!
//! dimmer's other announcement, for browsers, allows one subtype, and Matter needs five at once, so this is rs-matter's
//! responder, on a socket of its own: Linux gives each multicast datagram to all sockets of port 5353, Avahi's and these.

use std::collections::BTreeMap;
use std::future;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::time::Duration;

use anyhow::Context;
use if_addrs::IfAddr;
use rs_matter::transport::network::MatterLocalService;
use rs_matter::transport::network::mdns::builtin::{Host, RespondMode};
use rs_matter::transport::network::mdns::{MDNS_IPV6_BROADCAST_ADDR, MDNS_PORT};
use rs_matter::{Matter, error::Error};
use rustix::net::sockopt::{
    set_ipv6_multicast_loop, set_ipv6_v6only, set_socket_reuseaddr, set_socket_reuseport,
};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with};
use tokio::net::UdpSocket;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{debug, warn};

/// How often to look for other network interfaces and addresses.
const LOOK: Duration = Duration::from_secs(10);
/// The second announcement comes after this time (RFC 6762, 8.3).
const AGAIN: Duration = Duration::from_secs(1);
/// How long others may remember a record, in seconds (RFC 6762, 10).
const TTL: u32 = 120;
/// Longest datagram, in bytes (RFC 6762, 17).
const MAX_DATAGRAM: usize = 9000;
/// Pause after the socket has failed.
const RETRY: Duration = Duration::from_secs(10);

/// The IPv6 addresses of each network interface, by its index.
type Interfaces = BTreeMap<u32, Vec<Ipv6Addr>>;

/// What is announced, and how.
pub struct Responder<'a> {
    pub matter: &'a Matter<'a>,
    /// The name of this machine in mDNS, without `.local`.
    pub host: &'a str,
    /// Is notified here when Matter's services may have changed …
    pub services: &'a Notify,
    /// … and notified from here for whoever wants to know, too.
    pub changed: &'a Notify,
}

impl Responder<'_> {
    /// Never returns. Without a network it waits for one.
    pub async fn run(&self) {
        let mut logged = false;
        loop {
            if let Err(error) = self.serve().await
                && !logged
            {
                warn!("matter: mDNS: {error:#}; trying again");
                logged = true;
            }
            sleep(RETRY).await;
        }
    }

    async fn serve(&self) -> anyhow::Result<()> {
        let socket = open().context("cannot open the socket")?;
        let mut buffer = vec![0; MAX_DATAGRAM];
        let mut interfaces = Interfaces::new();
        let mut services = Vec::new();
        let mut look = Instant::now();
        let mut again = None;
        loop {
            tokio::select! {
                received = socket.recv_from(&mut buffer) => {
                    let (length, from) = received?;
                    self.answer(&socket, &interfaces, &services, &buffer[..length], from).await;
                }
                () = self.matter.transport().wait_mdns() => look = Instant::now(),
                () = self.services.notified() => look = Instant::now(),
                () = sleep_until(look) => {
                    look = Instant::now() + LOOK;
                    let (found, offered) = (found(), self.offered());
                    if found != interfaces {
                        join(&socket, &found, &interfaces);
                        interfaces = found;
                        again = Some(Instant::now());
                    }
                    if offered != services {
                        for service in services.iter().filter(|service| !offered.contains(service)) {
                            self.announce(&socket, &interfaces, service, 0).await;
                        }
                        services = offered;
                        again = Some(Instant::now());
                        self.changed.notify_one();
                    }
                    if again.is_some() {
                        self.announce_all(&socket, &interfaces, &services).await;
                        again = Some(Instant::now() + AGAIN);
                    }
                }
                () = until(again) => {
                    again = None;
                    self.announce_all(&socket, &interfaces, &services).await;
                }
            }
        }
    }

    /// What Matter offers now.
    fn offered(&self) -> Vec<MatterLocalService> {
        let mut services = Vec::new();
        let listed = self.matter.mdns_services(|service| {
            services.push(service);
            Ok::<_, Error>(())
        });
        if let Err(error) = listed {
            warn!("matter: mDNS: {:?}", error.code());
        }
        services
    }

    async fn announce_all(
        &self,
        socket: &UdpSocket,
        interfaces: &Interfaces,
        services: &[MatterLocalService],
    ) {
        for service in services {
            self.announce(socket, interfaces, service, TTL).await;
        }
    }

    /// Announces a service on all interfaces; with a TTL of 0 it is gone.
    async fn announce(
        &self,
        socket: &UdpSocket,
        interfaces: &Interfaces,
        service: &MatterLocalService,
        ttl: u32,
    ) {
        for (interface, addresses) in interfaces {
            let (mut scratch, mut message) = ([0; 512], [0; MAX_DATAGRAM]);
            let composed = service
                .service(self.matter, &mut scratch)
                .and_then(|(service, _)| {
                    let host = self.host(addresses);
                    host.broadcast(&service, &mut message, TTL, ttl)
                });
            match composed {
                Ok(length) => send(socket, &message[..length], group(*interface)).await,
                Err(error) => warn!("matter: mDNS: {:?}", error.code()),
            }
        }
    }

    /// Answers a question that is about a service of ours.
    async fn answer(
        &self,
        socket: &UdpSocket,
        interfaces: &Interfaces,
        services: &[MatterLocalService],
        question: &[u8],
        from: SocketAddr,
    ) {
        let SocketAddr::V6(from) = from else { return };
        // A link-local sender's interface is known; another one is asked on all.
        let asked = interfaces
            .iter()
            .filter(|(index, _)| from.scope_id() == 0 || from.scope_id() == **index);
        let is_old_resolver = from.port() != MDNS_PORT;
        for (interface, addresses) in asked {
            for service in services {
                let (mut scratch, mut message) = ([0; 512], [0; MAX_DATAGRAM]);
                let composed =
                    service
                        .service(self.matter, &mut scratch)
                        .and_then(|(service, _)| {
                            let host = self.host(addresses);
                            host.respond(&service, question, &mut message, TTL, is_old_resolver)
                        });
                match composed {
                    Ok((0, _)) | Ok((_, RespondMode::Skip)) => {}
                    Ok((length, RespondMode::Multicast { .. })) => {
                        send(socket, &message[..length], group(*interface)).await;
                    }
                    Ok((length, RespondMode::Unicast)) => {
                        send(socket, &message[..length], from).await;
                    }
                    // Anybody may send anything.
                    Err(error) => debug!("matter: mDNS: from {from}: {:?}", error.code()),
                }
            }
        }
    }

    fn host<'b>(&'b self, addresses: &'b [Ipv6Addr]) -> Host<'b> {
        Host {
            hostname: self.host,
            ip: Ipv4Addr::UNSPECIFIED,
            ipv6: addresses,
        }
    }
}

async fn until(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => future::pending().await,
    }
}

fn group(interface: u32) -> SocketAddrV6 {
    SocketAddrV6::new(MDNS_IPV6_BROADCAST_ADDR, MDNS_PORT, 0, interface)
}

async fn send(socket: &UdpSocket, message: &[u8], to: SocketAddrV6) {
    // An interface may have gone since.
    if let Err(error) = socket.send_to(message, to).await {
        debug!("matter: mDNS: to {to}: {error}");
    }
}

/// A socket that shares the port with Avahi and others.
fn open() -> anyhow::Result<UdpSocket> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::INET6, SocketType::DGRAM, flags, None)?;
    set_socket_reuseaddr(&socket, true)?;
    set_socket_reuseport(&socket, true)?;
    set_ipv6_v6only(&socket, true)?;
    // For a controller on this machine.
    set_ipv6_multicast_loop(&socket, true)?;
    bind(
        &socket,
        &SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, MDNS_PORT, 0, 0),
    )?;
    let socket = std::net::UdpSocket::from(socket);
    Ok(UdpSocket::from_std(socket)?)
}

/// The interfaces that are up and have an IPv6 address, except for the machine's own.
fn found() -> Interfaces {
    let mut interfaces = Interfaces::new();
    for interface in if_addrs::get_if_addrs().unwrap_or_default() {
        if let (IfAddr::V6(address), Some(index)) = (&interface.addr, interface.index)
            && interface.is_oper_up()
            && !interface.is_loopback()
        {
            interfaces.entry(index).or_default().push(address.ip);
        }
    }
    // In which order the kernel lists them is no change.
    for addresses in interfaces.values_mut() {
        addresses.sort();
    }
    interfaces
}

/// Receives from the interfaces that are new.
fn join(socket: &UdpSocket, found: &Interfaces, before: &Interfaces) {
    for index in before.keys().filter(|index| !found.contains_key(index)) {
        let _ = socket.leave_multicast_v6(&MDNS_IPV6_BROADCAST_ADDR, *index);
    }
    for index in found.keys().filter(|index| !before.contains_key(index)) {
        if let Err(error) = socket.join_multicast_v6(&MDNS_IPV6_BROADCAST_ADDR, *index) {
            warn!("matter: mDNS: interface {index}: {error}");
        }
    }
}
