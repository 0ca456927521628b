//! How many there are of something, in all and from each address, and how many may be.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch;

/// The open pages, or the open connections.
pub struct ConnectionLimiter {
    counts: watch::Sender<Counts>,
    most: usize,
    most_of_one: usize,
    numbers: AtomicU64,
}

/// How many there are.
#[derive(Default)]
pub struct Counts {
    /// From anywhere.
    pub all: usize,
    /// From each address that has any.
    by_address: HashMap<IpAddr, usize>,
}

/// What there is no room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitReached {
    /// One more.
    Total,
    /// One more from that address.
    PerAddress,
}

/// One of the limiter, until it is dropped.
pub struct Permit {
    limiter: Arc<ConnectionLimiter>,
    /// Where it came from.
    pub address: IpAddr,
    /// Never used twice while the service runs.
    pub number: u64,
}

impl ConnectionLimiter {
    /// Room for `most`, and for `most_of_one` from a single address.
    pub fn new(most: usize, most_of_one: usize) -> Arc<ConnectionLimiter> {
        Arc::new(ConnectionLimiter {
            counts: watch::Sender::default(),
            most,
            most_of_one,
            numbers: AtomicU64::new(1),
        })
    }

    /// A place for one more.
    ///
    /// # Errors
    /// All the places that it could have are taken.
    pub fn try_acquire(
        self: &Arc<ConnectionLimiter>,
        address: IpAddr,
    ) -> Result<Permit, LimitReached> {
        let mut entered = Err(LimitReached::Total);
        self.counts.send_if_modified(|counts| {
            entered = self.add(counts, address);
            entered.is_ok()
        });
        entered.map(|()| Permit {
            limiter: self.clone(),
            address,
            number: self.numbers.fetch_add(1, Ordering::Relaxed),
        })
    }

    fn add(&self, counts: &mut Counts, address: IpAddr) -> Result<(), LimitReached> {
        if counts.all >= self.most {
            return Err(LimitReached::Total);
        }
        let of_one = counts.by_address.entry(address).or_default();
        if *of_one >= self.most_of_one {
            return Err(LimitReached::PerAddress);
        }
        *of_one += 1;
        counts.all += 1;
        Ok(())
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.counts.borrow().all
    }

    /// How many there were so far, those that are there included.
    pub fn total(&self) -> u64 {
        self.numbers.load(Ordering::Relaxed) - 1
    }

    /// How many there are, and a way to wait for that to change.
    pub fn watch(&self) -> watch::Receiver<Counts> {
        self.counts.subscribe()
    }

    /// Resolves once there is room for one more, if its address has any left.
    pub async fn wait_for_capacity(&self) {
        self.wait_for(|counts| counts.all < self.most).await;
    }

    /// Resolves once all have left.
    pub async fn wait_until_empty(&self) {
        self.wait_for(|counts| counts.all == 0).await;
    }

    async fn wait_for(&self, holds: impl FnMut(&Counts) -> bool) {
        // It fails only without a sender, and that is `self`.
        let _ = self.watch().wait_for(holds).await;
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.limiter.counts.send_modify(|counts| {
            counts.all -= 1;
            if let Some(of_one) = counts.by_address.get_mut(&self.address) {
                *of_one -= 1;
                if *of_one == 0 {
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
    fn a_place_is_free_again_after_it_was_left() {
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
    fn one_address_cannot_take_the_places_of_others() {
        let limiter = ConnectionLimiter::new(3, 2);
        let places = [
            limiter.try_acquire(ANA).unwrap(),
            limiter.try_acquire(ANA).unwrap(),
        ];
        assert_eq!(
            limiter.try_acquire(ANA).err(),
            Some(LimitReached::PerAddress)
        );
        assert!(limiter.try_acquire(EVA).is_ok());
        drop(places);
        assert!(limiter.try_acquire(ANA).is_ok());
        assert!(
            limiter.watch().borrow().by_address.is_empty(),
            "who left is forgotten"
        );
    }
}
