//! Counts and limits open connections, in total and per IP address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch;

/// Limits the connected clients, or the open connections.
pub struct ConnectionLimiter {
    counts: watch::Sender<Counts>,
    max: usize,
    max_per_address: usize,
    next_number: AtomicU64,
}

/// The permits that are in use.
#[derive(Default)]
pub struct Counts {
    /// In total.
    total: usize,
    /// Only addresses that have any, so that the map does not grow with every address ever seen.
    by_address: HashMap<IpAddr, usize>,
}

/// The limit that a connection would exceed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitReached {
    /// The limit in total.
    Total,
    /// The limit of the connection's address.
    PerAddress,
}

/// Permission for one connection, which counts until this is dropped.
pub struct Permit {
    limiter: Arc<ConnectionLimiter>,
    /// The remote address.
    pub address: IpAddr,
    /// Identifies the connection: counted from 1, and never used twice while the service runs.
    pub number: u64,
}

impl ConnectionLimiter {
    /// Allows `max` connections in total, and `max_per_address` from a single address.
    pub fn new(max: usize, max_per_address: usize) -> Arc<ConnectionLimiter> {
        Arc::new(ConnectionLimiter {
            counts: watch::Sender::default(),
            max,
            max_per_address,
            next_number: AtomicU64::new(1),
        })
    }

    /// A permit for one more connection from this address.
    ///
    /// # Errors
    /// The limit that is reached.
    pub fn try_acquire(
        self: &Arc<ConnectionLimiter>,
        address: IpAddr,
    ) -> Result<Permit, LimitReached> {
        let mut added = Err(LimitReached::Total);
        self.counts.send_if_modified(|counts| {
            added = self.add(counts, address);
            added.is_ok()
        });
        added.map(|()| Permit {
            limiter: self.clone(),
            address,
            number: self.next_number.fetch_add(1, Ordering::Relaxed),
        })
    }

    /// Whether one more connection from this address is allowed now.
    ///
    /// # Errors
    /// The limit that is reached.
    pub fn check(&self, address: IpAddr) -> Result<(), LimitReached> {
        self.check_counts(&self.counts.borrow(), address)
    }

    fn check_counts(&self, counts: &Counts, address: IpAddr) -> Result<(), LimitReached> {
        let from_address = counts.by_address.get(&address).copied().unwrap_or_default();
        if counts.total >= self.max {
            Err(LimitReached::Total)
        } else if from_address >= self.max_per_address {
            Err(LimitReached::PerAddress)
        } else {
            Ok(())
        }
    }

    fn add(&self, counts: &mut Counts, address: IpAddr) -> Result<(), LimitReached> {
        self.check_counts(counts, address)?;
        *counts.by_address.entry(address).or_default() += 1;
        counts.total += 1;
        Ok(())
    }

    /// The connections that are open now.
    pub fn count(&self) -> usize {
        self.counts.borrow().total
    }

    /// Whether half of the connections are in use, in total or of this address.
    fn is_scarce(&self, address: IpAddr) -> bool {
        let counts = self.counts.borrow();
        let from_address = counts.by_address.get(&address).copied().unwrap_or(0);
        counts.total >= self.max.div_ceil(2) || from_address >= self.max_per_address.div_ceil(2)
    }

    /// All connections since the start of the service, those that are open included.
    pub fn total(&self) -> u64 {
        self.next_number.load(Ordering::Relaxed) - 1
    }

    /// Watches the counts.
    pub fn watch(&self) -> watch::Receiver<Counts> {
        self.counts.subscribe()
    }

    /// Resolves once the limit in total allows one more connection; its address may still be at its own.
    pub async fn wait_for_capacity(&self) {
        self.wait_for(|counts| counts.total < self.max).await;
    }

    /// Resolves once no connection is open.
    pub async fn wait_until_empty(&self) {
        self.wait_for(|counts| counts.total == 0).await;
    }

    async fn wait_for(&self, holds: impl FnMut(&Counts) -> bool) {
        // It fails only without a sender, and `self` holds the sender.
        let _ = self.watch().wait_for(holds).await;
    }
}

impl Permit {
    /// Whether connections like this one are scarce.
    pub fn is_scarce(&self) -> bool {
        self.limiter.is_scarce(self.address)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.limiter.counts.send_modify(|counts| {
            counts.total -= 1;
            if let Some(from_address) = counts.by_address.get_mut(&self.address) {
                *from_address -= 1;
                if *from_address == 0 {
                    counts.by_address.remove(&self.address);
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANA: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
    const EVA: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));

    #[test]
    fn a_permit_is_free_again_once_it_is_dropped() {
        let limiter = ConnectionLimiter::new(2, 2);
        let one = limiter.try_acquire(ANA).unwrap();
        let two = limiter.try_acquire(ANA).unwrap();
        assert_ne!(one.number, two.number);
        assert_eq!(limiter.try_acquire(EVA).err(), Some(LimitReached::Total));
        drop(one);
        assert_eq!(limiter.count(), 1);
        assert!(limiter.try_acquire(ANA).is_ok());
    }

    #[test]
    fn one_address_cannot_take_the_permits_of_others() {
        let limiter = ConnectionLimiter::new(3, 2);
        let permits = [
            limiter.try_acquire(ANA).unwrap(),
            limiter.try_acquire(ANA).unwrap(),
        ];
        assert_eq!(
            limiter.try_acquire(ANA).err(),
            Some(LimitReached::PerAddress)
        );
        assert!(limiter.try_acquire(EVA).is_ok());
        drop(permits);
        assert!(limiter.try_acquire(ANA).is_ok());
        assert!(
            limiter.watch().borrow().by_address.is_empty(),
            "an address without connections is forgotten"
        );
    }
}
