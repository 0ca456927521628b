//! Acquires GPIOs of a Pi, through rppal.

use std::io::ErrorKind;

use anyhow::anyhow;
use rppal::gpio::{Error, Gpio, Pin};

/// Acquires a GPIO for this process.
///
/// # Errors
/// It cannot be acquired; the message says why and what to do.
pub fn acquire(gpio: u8) -> anyhow::Result<Pin> {
    Gpio::new().and_then(|chip| chip.get(gpio)).map_err(explain)
}

/// Turns an error of rppal into a message that says what to do.
pub fn explain(error: Error) -> anyhow::Error {
    match error {
        Error::UnknownModel => anyhow!("this is not a Raspberry Pi; use driver = \"simulated\""),
        Error::PermissionDenied(path) => {
            anyhow!("cannot open {path}: permission denied; add the user to group gpio")
        }
        Error::PinUsed(pin) => anyhow!(
            "GPIO {pin} is already in use by this process; give each pin and button its own"
        ),
        Error::Io(error) if error.kind() == ErrorKind::NotFound => anyhow!(
            "a device of the GPIOs is missing: /dev/gpiomem0 on a Pi 5, /dev/gpiomem on the others, or that of the GPIO chip; the kernel of Raspberry Pi OS has them"
        ),
        Error::Io(error) if error.kind() == ErrorKind::ResourceBusy => {
            anyhow!("the kernel or another program uses it; run gpioinfo to see which")
        }
        error => anyhow!(error),
    }
}
