//! The output of a driver.

use embedded_hal::pwm::SetDutyCycle;

use crate::model::lights::Driver;

/// Takes the duty cycles.
pub type Output = Box<dyn SetDutyCycle<Error = WriteError> + Send>;

/// A failed write of a duty cycle: what failed and what to do about it, in one line.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct WriteError(pub String);

impl embedded_hal::pwm::Error for WriteError {
    fn kind(&self) -> embedded_hal::pwm::ErrorKind {
        embedded_hal::pwm::ErrorKind::Other
    }
}

/// An open output with its properties; the pin is dark, or goes on if it was to keep its duty.
pub struct OpenOutput {
    /// Takes the duty cycles.
    pub output: Output,
    /// The driver that it belongs to.
    pub driver: Driver,
    /// PWM frequency in Hz.
    pub frequency: u32,
    /// The number of duty cycles that the driver distinguishes.
    pub resolution: u32,
    /// The driver with its details, for the log.
    pub description: String,
    /// If `auto` chose `kernel-pwm` and this is `software-pwm`: why, and what to do, in one line.
    pub fallback: Option<String>,
}
