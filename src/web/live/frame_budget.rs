//! Limits how many frames are read from a client per second.

use std::time::Duration;

use tokio::time::Instant;

/// Frames that a client may send within a second: 60 for each of 16 lights.
const MAX_FRAMES: u32 = 1000;
/// How long a client that has sent more is not read: then the others are sent its changes no more often
/// than those of a finger on a slider.
const FLOOD_PAUSE: Duration = Duration::from_millis(16);

/// How many more frames are read from a client now: [`MAX_FRAMES`] after a second of silence.
///
/// A client that sends more is not read for [`FLOOD_PAUSE`]. Its messages wait in the connection's buffers
/// and then its sender does: none is lost, the last one counts, and the service has time for the others.
pub struct FrameBudget {
    /// When [`MAX_FRAMES`] will be allowed again.
    full: Instant,
}

impl FrameBudget {
    /// The whole budget.
    pub fn new(now: Instant) -> FrameBudget {
        FrameBudget { full: now }
    }

    /// Counts a frame. If that was the last one allowed, returns when the next may be read.
    pub fn spend(&mut self, now: Instant) -> Option<Instant> {
        let second = Duration::from_secs(1);
        self.full = self.full.max(now) + second / MAX_FRAMES;
        (self.full >= now + second).then(|| self.full - second + FLOOD_PAUSE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The frames that are read in this time from a client that sends as fast as it can.
    fn flood(budget: &mut FrameBudget, start: Instant, time: Duration) -> u32 {
        let mut frames = 0;
        let mut now = start;
        while now <= start + time {
            now = budget.spend(now).unwrap_or(now);
            frames += 1;
        }
        frames
    }

    #[test]
    fn a_flood_is_read_at_a_thousand_frames_a_second() {
        let start = Instant::now();
        let mut budget = FrameBudget::new(start);
        assert_eq!(flood(&mut budget, start, Duration::from_secs(10)), 11_000);
        // However long the silence, no more than the frames of a second are saved up.
        let later = start + Duration::from_secs(60);
        assert_eq!(flood(&mut budget, later, Duration::ZERO), 1000);
    }

    #[test]
    fn a_dragged_slider_is_never_throttled() {
        let mut now = Instant::now();
        let mut budget = FrameBudget::new(now);
        for _ in 0..10_000 {
            assert_eq!(budget.spend(now), None);
            now += Duration::from_secs(1) / 120;
        }
    }
}
