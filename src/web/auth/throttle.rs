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

/// Passwords of an address that has to wait which are compared with one known to be right, at once, and then
/// one a second: others may share the address with a guesser, but a comparison is a guess, too.
const COMPARISONS: u32 = 10;
const COMPARISON: Duration = Duration::from_secs(1);

/// The addresses that have recently sent a wrong password.
pub struct Throttle {
    guessers: HashMap<IpAddr, Attempts>,
    /// Whether an IPv6 address is on a network of this machine.
    is_on_link: fn(Ipv6Addr) -> bool,
}

struct Attempts {
    wrong: u32,
    /// Until then no attempt is verified.
    wait_until: Instant,
    /// Until when the comparisons so far use up those that are allowed.
    compared_until: Instant,
}

impl Throttle {
    /// Nobody has guessed yet.
    pub fn new(is_on_link: fn(Ipv6Addr) -> bool) -> Throttle {
        Throttle {
            guessers: HashMap::new(),
            is_on_link,
        }
    }

    /// How long this address still has to wait, if it has to.
    pub fn wait(&self, address: IpAddr, now: Instant) -> Option<Duration> {
        let attempts = self.guessers.get(&self.guesser(address))?;
        Some(attempts.wait_until - now).filter(|wait| !wait.is_zero())
    }

    /// The wrong passwords of this address so far.
    pub fn wrong(&self, address: IpAddr) -> u32 {
        let attempts = self.guessers.get(&self.guesser(address));
        attempts.map_or(0, |attempts| attempts.wrong)
    }

    /// Whether a password from this address may be compared with one that is known to be right.
    pub fn may_compare(&mut self, address: IpAddr, now: Instant) -> bool {
        let guesser = self.guesser(address);
        let Some(attempts) = self.guessers.get_mut(&guesser) else {
            return true;
        };
        let compared_until = attempts.compared_until.max(now) + COMPARISON;
        let may = compared_until <= now + COMPARISON * COMPARISONS;
        if may {
            attempts.compared_until = compared_until;
        }
        may
    }

    /// Records a wrong password from this address.
    pub fn record_wrong(&mut self, address: IpAddr, now: Instant) {
        let guesser = self.guesser(address);
        let guessers = &mut self.guessers;
        guessers.retain(|_, attempts| now < attempts.wait_until + FORGET_AFTER);
        if guessers.len() >= MAX_ADDRESSES && !guessers.contains_key(&guesser) {
            let soonest = guessers.iter().min_by_key(|(_, other)| other.wait_until);
            if let Some(soonest) = soonest.map(|(address, _)| *address) {
                guessers.remove(&soonest);
            }
        }
        let attempts = guessers.entry(guesser).or_insert(Attempts {
            wrong: 0,
            wait_until: now,
            compared_until: now,
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
        let guesser = self.guesser(address);
        self.guessers.remove(&guesser);
    }

    /// Who counts as one: an address, or a /64 network of IPv6 elsewhere, in which a machine can have any
    /// address. Not so a network of this machine, or one guesser there would keep out all of the LAN.
    fn guesser(&self, address: IpAddr) -> IpAddr {
        match address {
            IpAddr::V6(v6) if !(self.is_on_link)(v6) => {
                Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into()
            }
            _ => address,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANA: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
    const EVA: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));

    #[test]
    fn each_wrong_password_doubles_the_wait_of_its_address_alone() {
        let mut throttle = Throttle::new(|_| false);
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
        let mut throttle = Throttle::new(|_| false);
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
        let mut throttle = Throttle::new(|_| false);
        let now = Instant::now();
        for _ in 0..5 {
            throttle.record_wrong(ANA, now);
        }
        for address in 0..10_000 {
            throttle.record_wrong(std::net::Ipv4Addr::from_bits(address).into(), now);
        }
        assert_eq!(throttle.guessers.len(), MAX_ADDRESSES);
        assert!(
            throttle.wait(ANA, now).is_some(),
            "an address that has to wait is not evicted"
        );

        let mut throttle = Throttle::new(|_| false);
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
    #[test]
    fn on_the_lan_an_ipv6_address_counts_alone() {
        let lan = |address: Ipv6Addr| address.segments()[3] == 1;
        let mut throttle = Throttle::new(lan);
        let now = Instant::now();
        let [guesser, neighbour, far, near_far] = [
            "fd00:0:0:1::1",
            "fd00:0:0:1::2",
            "fd00:0:0:2::1",
            "fd00:0:0:2::2",
        ]
        .map(|address| address.parse().unwrap());
        for _ in 0..5 {
            throttle.record_wrong(guesser, now);
            throttle.record_wrong(far, now);
        }
        assert!(throttle.wait(guesser, now).is_some());
        assert_eq!(throttle.wait(neighbour, now), None);
        assert!(throttle.wait(near_far, now).is_some());
    }

    #[test]
    fn a_guesser_compares_no_faster_than_once_a_second() {
        let mut throttle = Throttle::new(|_| false);
        let mut now = Instant::now();
        assert!((0..100).all(|_| throttle.may_compare(ANA, now)));
        throttle.record_wrong(ANA, now);
        let mut allowed = 0;
        for _ in 0..100_000 {
            allowed += u32::from(throttle.may_compare(ANA, now));
            now += Duration::from_millis(1);
        }
        assert_eq!(allowed, COMPARISONS + 99);
        assert!(throttle.may_compare(EVA, now));
    }
}
