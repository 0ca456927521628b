//! Slows down whoever guesses passwords: each address waits longer after each wrong one.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use tokio::time::Instant;

/// Wrong passwords without a wait, as thumbs slip.
const FREE: u32 = 3;
/// The first wait; each is twice the one before.
const FIRST: Duration = Duration::from_secs(1);
/// The longest.
const MOST: Duration = Duration::from_secs(300);
/// Time after the last wait until an address is forgotten.
const MEMORY: Duration = Duration::from_secs(3600);
/// Addresses that are remembered at once.
const ADDRESSES: usize = 1024;

/// Who was wrong of late.
#[derive(Default)]
pub struct Throttle(HashMap<IpAddr, Wrong>);

struct Wrong {
    count: u32,
    /// No earlier than this is another attempt heard.
    next: Instant,
}

impl Throttle {
    /// How long this address still has to wait.
    pub fn wait(&self, address: IpAddr, now: Instant) -> Option<Duration> {
        let wrong = self.0.get(&neighbourhood(address))?;
        Some(wrong.next - now).filter(|wait| !wait.is_zero())
    }

    /// A wrong password came from there.
    pub fn wrong(&mut self, address: IpAddr, now: Instant) {
        self.0.retain(|_, wrong| now < wrong.next + MEMORY);
        let address = neighbourhood(address);
        if self.0.len() >= ADDRESSES && !self.0.contains_key(&address) {
            let soonest = self.0.iter().min_by_key(|(_, wrong)| wrong.next);
            if let Some(soonest) = soonest.map(|(address, _)| *address) {
                self.0.remove(&soonest);
            }
        }
        let wrong = self.0.entry(address).or_insert(Wrong {
            count: 0,
            next: now,
        });
        wrong.count += 1;
        let wait = match wrong.count.checked_sub(FREE + 1) {
            None => Duration::ZERO,
            Some(doublings) => FIRST.saturating_mul(1 << doublings.min(16)).min(MOST),
        };
        wrong.next = now + wait;
    }

    /// The right password came from there.
    pub fn right(&mut self, address: IpAddr) {
        self.0.remove(&neighbourhood(address));
    }
}

/// The address, but of IPv6 the network: one machine can have any address in its own.
fn neighbourhood(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANA: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
    const EVA: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));

    #[test]
    fn each_wrong_password_doubles_the_wait_of_its_address_alone() {
        let mut attempts = Throttle::default();
        let mut now = Instant::now();
        let mut waits = Vec::new();
        for _ in 0..15 {
            attempts.wrong(ANA, now);
            let wait = attempts.wait(ANA, now).unwrap_or_default();
            waits.push(wait.as_secs());
            now += wait;
            assert_eq!(attempts.wait(ANA, now), None);
        }
        assert_eq!(
            waits,
            [0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]
        );
        attempts.wrong(ANA, now);
        assert_eq!(attempts.wait(EVA, now), None);
        attempts.right(ANA);
        assert_eq!(attempts.wait(ANA, now), None);
        attempts.wrong(ANA, now);
        assert_eq!(attempts.wait(ANA, now), None, "all is forgiven");
    }

    #[test]
    fn an_hour_later_all_is_forgotten() {
        let mut attempts = Throttle::default();
        let now = Instant::now();
        for _ in 0..5 {
            attempts.wrong(ANA, now);
        }
        let later = now + MEMORY + MOST;
        attempts.wrong(ANA, later);
        assert_eq!(attempts.wait(ANA, later), None);
    }

    #[test]
    fn a_guesser_with_many_addresses_fills_no_memory() {
        let mut attempts = Throttle::default();
        let now = Instant::now();
        for _ in 0..5 {
            attempts.wrong(ANA, now);
        }
        for address in 0..10_000 {
            attempts.wrong(std::net::Ipv4Addr::from_bits(address).into(), now);
        }
        assert_eq!(attempts.0.len(), ADDRESSES);
        assert!(attempts.wait(ANA, now).is_some(), "who waits is remembered");

        let mut attempts = Throttle::default();
        for address in 0..5 {
            let address = Ipv6Addr::new(0xfd00, 0, 0, 1, 0, 0, 0, address);
            attempts.wrong(address.into(), now);
        }
        assert!(
            attempts
                .wait("fd00:0:0:1::9".parse().unwrap(), now)
                .is_some()
        );
        assert!(
            attempts
                .wait("fd00:0:0:2::9".parse().unwrap(), now)
                .is_none()
        );
    }
}
