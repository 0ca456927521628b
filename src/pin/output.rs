//! The output of a driver: what takes the duty cycles.

use embedded_hal::pwm::SetDutyCycle;

use crate::model::lights::Driver;

/// Takes the duty cycles.
pub type Output = Box<dyn SetDutyCycle<Error = WriteError> + Send>;

/// A duty cycle that did not reach the pin: what failed and what to do about it, in one line.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct WriteError(pub String);

impl embedded_hal::pwm::Error for WriteError {
    fn kind(&self) -> embedded_hal::pwm::ErrorKind {
        embedded_hal::pwm::ErrorKind::Other
    }
}

/// An open output with its properties.
pub struct Opened {
    /// Takes the duty cycles.
    pub output: Output,
    /// The driver behind it.
    pub driver: Driver,
    /// PWM frequency in Hz.
    pub frequency: u32,
    /// The number of duty cycles that it distinguishes.
    pub resolution: u32,
    /// The driver with its details, for the log.
    pub about: String,
}
