//! How many pages are open, and how many may be.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch;

/// The open pages.
pub struct Pages {
    open: watch::Sender<usize>,
    most: usize,
    numbers: AtomicU64,
}

/// The place of one open page, given back when it is dropped.
pub struct Place {
    pages: Arc<Pages>,
    /// The page's number, never used twice while the service runs.
    pub number: u64,
}

impl Pages {
    /// Room for `most` pages.
    pub fn new(most: usize) -> Pages {
        Pages {
            open: watch::Sender::new(0),
            most,
            numbers: AtomicU64::new(1),
        }
    }

    /// A place for one more page, or `None` if all are taken.
    pub fn enter(self: &Arc<Pages>) -> Option<Place> {
        let entered = self.open.send_if_modified(|open| {
            let room = *open < self.most;
            *open += usize::from(room);
            room
        });
        entered.then(|| Place {
            pages: self.clone(),
            number: self.numbers.fetch_add(1, Ordering::Relaxed),
        })
    }

    /// The number of open pages, and a way to wait for it to change.
    pub fn watch(&self) -> watch::Receiver<usize> {
        self.open.subscribe()
    }

    /// Resolves once no page is open.
    pub async fn all_closed(&self) {
        // It fails only without a sender, and that is `self`.
        let _ = self.watch().wait_for(|open| *open == 0).await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.pages.open.send_modify(|open| *open -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_after_its_page() {
        let pages = Arc::new(Pages::new(2));
        let one = pages.enter().unwrap();
        let two = pages.enter().unwrap();
        assert_ne!(one.number, two.number);
        assert!(pages.enter().is_none(), "both places are taken");
        drop(one);
        assert_eq!(*pages.watch().borrow(), 1);
        assert!(pages.enter().is_some());
    }
}
