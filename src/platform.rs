//! What the machine and the LAN offer: GPIOs, host names, mDNS, passwords and TLS.

pub(crate) mod gpio;
pub mod host;
pub mod mdns;
pub mod password;
pub mod tls;
