//! Takes the GPIOs of a Pi, through rppal.

use std::io::ErrorKind;

use anyhow::anyhow;
use rppal::gpio::{Error, Gpio, Pin};

/// Takes a GPIO for this process.
///
/// # Errors
/// It cannot be had; the message says why and what to do.
pub fn take(gpio: u8) -> anyhow::Result<Pin> {
    Gpio::new().and_then(|chip| chip.get(gpio)).map_err(advice)
}

/// rppal's error, with what to do about it.
pub fn advice(error: Error) -> anyhow::Error {
    match error {
        Error::UnknownModel => anyhow!("this is no Raspberry Pi; use driver = \"simulated\""),
        Error::PermissionDenied(path) => {
            anyhow!("cannot open {path}: permission denied; add the user to group gpio")
        }
        Error::PinUsed(pin) => anyhow!("GPIO {pin} is already in use"),
        Error::Io(error) if error.kind() == ErrorKind::ResourceBusy => {
            anyhow!("the kernel or another program uses it; gpioinfo says which")
        }
        error => anyhow!(error),
    }
}
