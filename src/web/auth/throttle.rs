//! Throttles guesses of the password: an address waits longer after each wrong one.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use tokio::time::Instant;

/// Wrong passwords without a wait, as people mistype.
const FREE_ATTEMPTS: u32 = 3;
/// The first wait; each is twice the previous one.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const MAX_WAIT: Duration = Duration::from_secs(300);
/// Time from the end of the last wait until an address is forgotten.
const FORGET_AFTER: Duration = Duration::from_secs(3600);
/// The most addresses that are remembered, so that a guesser with many fills no memory.
const MAX_ADDRESSES: usize = 1024;

/// The addresses that have recently sent a wrong password.
#[derive(Default)]
pub struct Throttle(HashMap<IpAddr, Attempts>);

struct Attempts {
    wrong: u32,
    /// Until then no attempt is verified.
    wait_until: Instant,
}

impl Throttle {
    /// How long this address still has to wait, if it has to.
    pub fn wait(&self, address: IpAddr, now: Instant) -> Option<Duration> {
        let attempts = self.0.get(&network_prefix(address))?;
        Some(attempts.wait_until - now).filter(|wait| !wait.is_zero())
    }

    /// Records a wrong password from this address.
    pub fn record_wrong(&mut self, address: IpAddr, now: Instant) {
        self.0
            .retain(|_, attempts| now < attempts.wait_until + FORGET_AFTER);
        let address = network_prefix(address);
        if self.0.len() >= MAX_ADDRESSES && !self.0.contains_key(&address) {
            let soonest = self.0.iter().min_by_key(|(_, other)| other.wait_until);
            if let Some(soonest) = soonest.map(|(address, _)| *address) {
                self.0.remove(&soonest);
            }
        }
        let attempts = self.0.entry(address).or_insert(Attempts {
            wrong: 0,
            wait_until: now,
        });
        attempts.wrong += 1;
        let wait = match attempts.wrong.checked_sub(FREE_ATTEMPTS + 1) {
            None => Duration::ZERO,
            Some(doublings) => FIRST_WAIT
                .saturating_mul(1 << doublings.min(16))
                .min(MAX_WAIT),
        };
        attempts.wait_until = now + wait;
    }

    /// Forgets the wrong passwords of an address that has sent the right one.
    pub fn record_right(&mut self, address: IpAddr) {
        self.0.remove(&network_prefix(address));
    }
}

/// The IPv4 address, or the /64 network of the IPv6 address, as a machine can have any address in its own
/// network.
fn network_prefix(address: IpAddr) -> IpAddr {
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
        let mut throttle = Throttle::default();
        let mut now = Instant::now();
        let mut waits = Vec::new();
        for _ in 0..15 {
            throttle.record_wrong(ANA, now);
            let wait = throttle.wait(ANA, now).unwrap_or_default();
            waits.push(wait.as_secs());
            now += wait;
            assert_eq!(throttle.wait(ANA, now), None);
        }
        assert_eq!(
            waits,
            [0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]
        );
        throttle.record_wrong(ANA, now);
        assert_eq!(throttle.wait(EVA, now), None);
        throttle.record_right(ANA);
        assert_eq!(throttle.wait(ANA, now), None);
        throttle.record_wrong(ANA, now);
        assert_eq!(
            throttle.wait(ANA, now),
            None,
            "the right password resets the count"
        );
    }

    #[test]
    fn an_hour_later_wrong_passwords_are_forgotten() {
        let mut throttle = Throttle::default();
        let now = Instant::now();
        for _ in 0..5 {
            throttle.record_wrong(ANA, now);
        }
        let later = now + FORGET_AFTER + MAX_WAIT;
        throttle.record_wrong(ANA, later);
        assert_eq!(throttle.wait(ANA, later), None);
    }

    #[test]
    fn a_guesser_with_many_addresses_fills_no_memory() {
        let mut throttle = Throttle::default();
        let now = Instant::now();
        for _ in 0..5 {
            throttle.record_wrong(ANA, now);
        }
        for address in 0..10_000 {
            throttle.record_wrong(std::net::Ipv4Addr::from_bits(address).into(), now);
        }
        assert_eq!(throttle.0.len(), MAX_ADDRESSES);
        assert!(
            throttle.wait(ANA, now).is_some(),
            "an address that has to wait is not evicted"
        );

        let mut throttle = Throttle::default();
        for address in 0..5 {
            let address = Ipv6Addr::new(0xfd00, 0, 0, 1, 0, 0, 0, address);
            throttle.record_wrong(address.into(), now);
        }
        assert!(
            throttle
                .wait("fd00:0:0:1::9".parse().unwrap(), now)
                .is_some()
        );
        assert!(
            throttle
                .wait("fd00:0:0:2::9".parse().unwrap(), now)
                .is_none()
        );
    }
}
