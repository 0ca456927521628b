//! What stands between the service and the machine: files, GPIOs and their locks, host names, mDNS, passwords, standard
//! output, TLS, supervision of tasks, and the time zone database.

pub(crate) mod cities;
pub mod file;
pub(crate) mod gpio;
pub mod gpio_lock;
pub mod host;
#[cfg_attr(not(feature = "mdns"), path = "without/mdns.rs")]
pub mod mdns;
pub mod password;
pub(crate) mod process;
pub mod supervisor;
pub mod terminal;
pub(crate) mod tls;
