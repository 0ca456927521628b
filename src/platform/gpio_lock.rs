//! One owner per GPIO on the whole machine, so that no two programs of dimmer move one pin.
//!
//! The lock is an abstract UNIX socket that is named after the GPIO. It needs no file, no folder and no
//! permission, so it is the same for root, for any user and inside the service's sandbox; the kernel releases
//! it when the process ends, however it ends, and says who has it. A container with a network of its own has
//! locks of its own.

use std::fmt;
use std::io::{self, ErrorKind};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::process;

use anyhow::{Context, anyhow};
use rustix::net::sockopt::socket_peercred;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};

use super::process::describe;

/// The lock on a GPIO, until it is dropped or the process ends.
pub struct GpioLock {
    _socket: UnixListener,
}

/// The process that has the lock on a GPIO.
#[derive(Debug, PartialEq)]
pub struct Holder {
    /// Its number; `None` if the kernel does not say.
    pub process: Option<u32>,
}

impl GpioLock {
    /// Locks a GPIO for this process.
    ///
    /// # Errors
    /// It has an owner already; the message says who and what to do.
    pub fn take(gpio: u8) -> anyhow::Result<GpioLock> {
        let locked = SocketAddr::from_abstract_name(name(gpio))
            .and_then(|address| UnixListener::bind_addr(&address));
        match locked {
            Ok(socket) => Ok(GpioLock { _socket: socket }),
            Err(error) if error.kind() == ErrorKind::AddrInUse => {
                let holder = Holder::of(gpio).unwrap_or(Holder { process: None });
                if holder.process == Some(process::id()) {
                    return Err(anyhow!(
                        "GPIO {gpio} is already in use by this process; give each pin and button its own"
                    ));
                }
                Err(anyhow!(
                    "GPIO {gpio} is in use by {holder}, so it is left alone; stop that, or choose another GPIO"
                ))
            }
            Err(error) => Err(error).with_context(|| format!("cannot lock GPIO {gpio}")),
        }
    }
}

/// The name of the lock on a GPIO.
fn name(gpio: u8) -> String {
    format!("dimmer-gpio-{gpio}")
}

impl Holder {
    /// The process that has the lock on a GPIO, if there is one.
    pub fn of(gpio: u8) -> Option<Holder> {
        match peer(gpio) {
            Ok(process) => Some(Holder {
                process: Some(process),
            }),
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => None,
            // Nobody accepts connections, so after thousands of them the kernel says no more.
            Err(_) => Some(Holder { process: None }),
        }
    }
}

/// The process that listens on the socket of a lock. Does not wait.
fn peer(gpio: u8) -> io::Result<u32> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    connect(
        &socket,
        &SocketAddrUnix::new_abstract_name(name(gpio).as_bytes())?,
    )?;
    let process = socket_peercred(&socket)?.pid;
    Ok(process.as_raw_nonzero().get().unsigned_abs())
}

impl fmt::Display for Holder {
    /// The program, its process and since when it runs, as far as this user may see them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(process) = self.process else {
            return f.write_str("another process");
        };
        f.write_str(&describe(process))
    }
}

#[cfg(test)]
mod tests {
    use std::ops::RangeInclusive;

    use super::*;

    /// A GPIO in a range that no Raspberry Pi has, which no other process tests with at the same time.
    fn unused_gpio(mut range: RangeInclusive<u8>) -> (u8, GpioLock) {
        range
            .find_map(|gpio| Some((gpio, GpioLock::take(gpio).ok()?)))
            .unwrap()
    }

    #[test]
    fn a_lock_has_one_holder_until_it_is_dropped() {
        let (gpio, lock) = unused_gpio(100..=149);
        let error = GpioLock::take(gpio).err().unwrap().to_string();
        assert!(error.contains("already in use by this process"), "{error}");
        let this = Some(Holder {
            process: Some(process::id()),
        });
        let holder = Holder::of(gpio);
        assert_eq!(holder, this);
        let holder = holder.unwrap().to_string();
        let expected = format!(", process {} since 2", process::id());
        assert!(holder.contains(&expected), "{holder}");
        drop(lock);
        assert_ne!(Holder::of(gpio), this);
    }

    #[test]
    fn nobody_waits_for_the_name_of_a_holder_however_often_it_is_asked_for() {
        let (gpio, _lock) = unused_gpio(150..=199);
        for _ in 0..10_000 {
            assert!(Holder::of(gpio).is_some());
        }
    }
}
