//! Turns: one password is verified at a time, as each takes 19 MiB and up to a second.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// Who has guessed least is next, so that guessers at many addresses do not keep out an honest one.
#[derive(Default)]
pub struct Turns(Mutex<Queue>);

#[derive(Default)]
struct Queue {
    is_taken: bool,
    /// In the order of their turns: by wrong passwords so far, then by arrival.
    waiting: BTreeMap<(u32, u64), WaitingLogin>,
    arrivals: u64,
}

struct WaitingLogin {
    address: IpAddr,
    turn: oneshot::Sender<Turn>,
}

/// The turn, which ends when this is dropped.
pub struct Turn(Arc<Turns>);

impl Turns {
    /// Waits for the turn of an address that has sent so many wrong passwords. What waits from there already
    /// counts as wrong, or a guesser could be first as often as it likes.
    pub async fn wait(self: &Arc<Turns>, address: IpAddr, wrong: u32) -> Turn {
        let turn = {
            let mut queue = self.queue();
            if !queue.is_taken {
                queue.is_taken = true;
                return Turn(self.clone());
            }
            // Those that have given up.
            queue.waiting.retain(|_, other| !other.turn.is_closed());
            let others = queue.waiting.values();
            let others = others.filter(|other| other.address == address).count();
            queue.arrivals += 1;
            let place = (wrong.saturating_add(others as u32), queue.arrivals);
            let (sender, turn) = oneshot::channel();
            let waiting = WaitingLogin {
                address,
                turn: sender,
            };
            queue.waiting.insert(place, waiting);
            turn
        };
        // The sender is kept until it is used.
        turn.await.expect("the queue is lost")
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let next = {
            let mut queue = self.0.queue();
            queue.waiting.retain(|_, other| !other.turn.is_closed());
            let next = queue.waiting.pop_first();
            queue.is_taken = next.is_some();
            next
        };
        if let Some((_, next)) = next {
            // If it has given up just now, this ends the turn that it did not take.
            let _ = next.turn.send(Turn(self.0.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn who_has_guessed_least_is_next_whoever_came_before() {
        let turns = Arc::<Turns>::default();
        let address = |last| IpAddr::from(Ipv4Addr::new(10, 0, 0, last));
        let first = turns.wait(address(1), 0).await;
        // Twenty guessers, one of them with many attempts at once, and one who gives up.
        let mut guessers: Vec<_> = (1..=20)
            .chain([7; 50])
            .map(|last| Box::pin(turns.wait(address(last), 1)))
            .collect();
        for guesser in &mut guessers {
            assert!(guesser.now_or_never().is_none());
        }
        let mut gone = Box::pin(turns.wait(address(30), 0));
        assert!((&mut gone).now_or_never().is_none());
        let mut honest = Box::pin(turns.wait(address(31), 0));
        assert!((&mut honest).now_or_never().is_none());
        drop((gone, first));
        let turn = honest.await;
        assert!((&mut guessers[0]).now_or_never().is_none());
        drop(turn);
        for guesser in guessers {
            guesser.await;
        }
        turns.wait(address(1), 9).await;
    }
}
