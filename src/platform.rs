//! What stands between the service and the machine: GPIOs, host names, mDNS, passwords, TLS, supervision of tasks.

pub(crate) mod gpio;
pub(crate) mod host;
pub mod mdns;
pub mod password;
pub(crate) mod process;
pub mod supervisor;
pub(crate) mod tls;
