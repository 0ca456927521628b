//! Sessions that have not proved yet that their client can read: any web site can make a browser open one, by
//! an image, but cannot read its id. So a session takes the place of a client only once a second request has
//! come with this id. Until then it is one of few, of which the newest replaces the oldest.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use crate::web::limiter::Permit;

/// The most newcomers from an address: sites may open sessions in a browser in which a client connects, too.
const MAX_PER_ADDRESS: usize = 16;
/// The most newcomers in total; some 5 KiB each.
const MAX: usize = 256;

/// The place of a session's client, once it has one.
pub type Seat = Arc<OnceLock<Permit>>;

/// The sessions of which only the first request has come, the oldest first.
#[derive(Default)]
pub struct Newcomers(VecDeque<Newcomer>);

struct Newcomer {
    id: String,
    address: IpAddr,
    seat: Seat,
}

impl Newcomers {
    /// Adds a session, and returns the id of the one that it replaces: the oldest of its address, or of the
    /// address that has most.
    pub fn add(&mut self, id: String, address: IpAddr, seat: Seat) -> Option<String> {
        let mut counts = HashMap::new();
        for newcomer in &self.0 {
            *counts.entry(newcomer.address).or_insert(0) += 1;
        }
        let crowded = match counts.get(&address) {
            Some(&count) if count >= MAX_PER_ADDRESS => Some(address),
            _ if self.0.len() >= MAX => counts
                .into_iter()
                .max_by_key(|(_, count)| *count)
                .map(|(address, _)| address),
            _ => None,
        };
        let oldest = crowded.and_then(|crowded| self.position(|other| other.address == crowded));
        let replaced = oldest.and_then(|oldest| self.0.remove(oldest));
        self.0.push_back(Newcomer { id, address, seat });
        replaced.map(|newcomer| newcomer.id)
    }

    /// Takes out the session that has this id, for its second request.
    pub fn remove(&mut self, id: &str) -> Option<Seat> {
        let index = self.position(|newcomer| newcomer.id == id)?;
        self.0.remove(index).map(|newcomer| newcomer.seat)
    }

    fn position(&self, is_it: impl Fn(&Newcomer) -> bool) -> Option<usize> {
        self.0.iter().position(is_it)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn the_newest_replaces_the_oldest_of_its_address_and_no_other() {
        let (here, there) = (Ipv4Addr::LOCALHOST.into(), Ipv4Addr::BROADCAST.into());
        let mut newcomers = Newcomers::default();
        let add = |newcomers: &mut Newcomers, id: usize, address| {
            newcomers.add(id.to_string(), address, Seat::default())
        };
        assert_eq!(add(&mut newcomers, 0, there), None);
        for id in 1..=MAX_PER_ADDRESS {
            assert_eq!(add(&mut newcomers, id, here), None);
        }
        assert_eq!(add(&mut newcomers, 100, here), Some("1".into()));
        assert!(newcomers.remove("1").is_none());
        assert!(newcomers.remove("0").is_some());
        assert!(
            newcomers.remove("0").is_none(),
            "it is no newcomer any more"
        );
        assert_eq!(add(&mut newcomers, 101, there), None);
    }

    #[test]
    fn newcomers_of_all_addresses_are_few_and_who_opens_one_is_not_replaced_by_who_opens_many() {
        let mut newcomers = Newcomers::default();
        let one = Ipv4Addr::LOCALHOST.into();
        newcomers.add("one".into(), one, Seat::default());
        for address in 0..100 {
            for id in 0..20 {
                let address = Ipv4Addr::from_bits(address).into();
                newcomers.add(format!("{address} {id}"), address, Seat::default());
            }
        }
        assert_eq!(newcomers.0.len(), MAX);
        assert!(newcomers.remove("one").is_some());
    }
}
