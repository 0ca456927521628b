//! The system clock: waits for a time, and notices when the clock is set.

use std::io;
use std::os::fd::OwnedFd;

use jiff::{SignedDuration, Timestamp};
use rustix::io::{Errno, read};
use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime,
    timerfd_create, timerfd_settime,
};
use tokio::io::unix::AsyncFd;

/// The system clock, which people and NTP set.
pub struct Clock {
    timer: AsyncFd<OwnedFd>,
    /// The same moment by the time since the boot and by the system clock.
    anchor: (SignedDuration, Timestamp),
}

/// The end of a wait.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Woken {
    /// The time has come.
    Due,
    /// The clock was set ahead by this much; back if negative.
    Set(SignedDuration),
}

impl Clock {
    /// Opens a timer of the kernel.
    ///
    /// # Errors
    /// The kernel cannot create another timer.
    pub fn new() -> io::Result<Clock> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Realtime, flags)?;
        #[expect(
            deprecated,
            reason = "it is unsound for types that change their descriptor; an OwnedFd never does"
        )]
        let timer = AsyncFd::new(timer)?;
        Ok(Clock {
            timer,
            anchor: (since_boot(), Timestamp::now()),
        })
    }

    /// Waits for this time, or until the clock is set: the kernel reports that, so nothing polls.
    ///
    /// # Errors
    /// The kernel cannot set its timer.
    pub async fn until(&mut self, time: Timestamp) -> io::Result<Woken> {
        let at = Itimerspec {
            it_interval: Timespec::default(),
            it_value: Timespec {
                tv_sec: time.as_second(),
                // All zero would stop the timer.
                tv_nsec: i64::from(time.subsec_nanosecond()).max(1),
            },
        };
        let flags = TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET;
        timerfd_settime(self.timer.get_ref(), flags, &at)?;
        loop {
            let mut ready = self.timer.readable().await?;
            match read(self.timer.get_ref(), &mut [0; 8]) {
                Ok(_) => return Ok(Woken::Due),
                Err(Errno::CANCELED) => return Ok(Woken::Set(self.jump())),
                Err(Errno::AGAIN) => ready.clear_ready(),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// How far the clock was set since the last call.
    fn jump(&mut self) -> SignedDuration {
        let (then, then_by_clock) = self.anchor;
        self.anchor = (since_boot(), Timestamp::now());
        let passed = self.anchor.0 - then;
        self.anchor.1.duration_since(then_by_clock) - passed
    }
}

/// The time since the boot, which nobody sets; it goes on while the machine is suspended.
fn since_boot() -> SignedDuration {
    let Timespec { tv_sec, tv_nsec } = clock_gettime(ClockId::Boottime);
    SignedDuration::from_secs(tv_sec) + SignedDuration::from_nanos(tv_nsec)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_clock_wakes_at_the_set_time_and_not_before() {
        let mut clock = Clock::new().unwrap();
        for millis in [-10, 0, 30] {
            let time = Timestamp::now() + SignedDuration::from_millis(millis);
            assert_eq!(clock.until(time).await.unwrap(), Woken::Due);
            assert!(Timestamp::now() >= time);
        }
        let quiet = clock.jump().abs();
        assert!(
            quiet < SignedDuration::from_millis(100),
            "reported as set, but nobody set it"
        );
    }
}
