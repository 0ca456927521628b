//! The UDP socket that Matter's messages come by.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use anyhow::Context;
use rs_matter::MATTER_PORT;
use rs_matter::error::{Error, ErrorCode};
use rs_matter::transport::network::{Address, NetworkMulticast, NetworkReceive, NetworkSend};
use tokio::net::UdpSocket;
use tracing::debug;

/// A socket for IPv6 and IPv4.
pub struct Socket(UdpSocket);

impl Socket {
    /// On Matter's own port, or if another program has that, on one that the system chooses: mDNS says which.
    ///
    /// # Errors
    /// The machine has no IPv6, or no port is left.
    pub async fn open() -> anyhow::Result<Socket> {
        let bind = |port| UdpSocket::bind(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)));
        let socket = match bind(MATTER_PORT).await {
            Ok(socket) => socket,
            Err(_) => bind(0)
                .await
                .context("cannot open a UDP socket for IPv6, which Matter needs")?,
        };
        Ok(Socket(socket))
    }

    pub fn port(&self) -> anyhow::Result<u16> {
        Ok(self.0.local_addr()?.port())
    }
}

impl NetworkSend for &Socket {
    async fn send_to(&mut self, data: &[u8], address: Address) -> Result<(), Error> {
        let address = address.udp().ok_or(ErrorCode::NoNetworkInterface)?;
        // A peer that cannot be reached now must not end the stack; Matter repeats what is not acknowledged.
        if let Err(error) = self.0.send_to(data, address).await {
            debug!("matter: cannot send to {address}: {error}");
        }
        Ok(())
    }
}

impl NetworkReceive for &Socket {
    async fn wait_available(&mut self) -> Result<(), Error> {
        self.0.readable().await.map_err(Error::from)
    }

    async fn recv_from(&mut self, buffer: &mut [u8]) -> Result<(usize, Address), Error> {
        loop {
            match self.0.recv_from(buffer).await {
                Ok((length, address)) => return Ok((length, Address::Udp(address))),
                // The kernel reports here that an earlier datagram could not be delivered.
                Err(error) => debug!("matter: {error}"),
            }
        }
    }
}

impl NetworkMulticast for &Socket {
    async fn join(&mut self, address: IpAddr) -> Result<(), Error> {
        match address {
            IpAddr::V6(address) => self.0.join_multicast_v6(&address, 0)?,
            IpAddr::V4(address) => self.0.join_multicast_v4(address, Ipv4Addr::UNSPECIFIED)?,
        }
        Ok(())
    }

    async fn leave(&mut self, address: IpAddr) -> Result<(), Error> {
        match address {
            IpAddr::V6(address) => self.0.leave_multicast_v6(&address, 0)?,
            IpAddr::V4(address) => self.0.leave_multicast_v4(address, Ipv4Addr::UNSPECIFIED)?,
        }
        Ok(())
    }
}
