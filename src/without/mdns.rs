//! What stands in for mDNS where dimmer is built without it: nothing is announced, and nothing found.

use std::future::Ready;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::bail;

use crate::model::lights::Light;

/// No name is announced.
pub fn url(_: SocketAddr, _: bool) -> Option<String> {
    None
}

/// There is none.
pub enum Announcement {}

impl Announcement {
    /// Announces nothing.
    ///
    /// # Errors
    /// None.
    pub fn new(_: SocketAddr, _: bool, _: &[Light]) -> anyhow::Result<Option<Announcement>> {
        Ok(None)
    }

    /// Logs nothing.
    pub fn log(&self) -> Ready<anyhow::Result<()>> {
        match *self {}
    }

    /// Withdraws nothing.
    pub async fn end(self) {
        match self {}
    }
}

/// Finds nothing.
///
/// # Errors
/// Always.
pub async fn list(_: Duration) -> anyhow::Result<String> {
    bail!("this dimmer is built without mDNS, the Cargo feature mdns")
}
