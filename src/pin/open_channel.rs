//! An exported channel of a pwmchip, by its files.
//!
//! rppal writes them, except on a channel that runs already when the service starts. rppal's constructor would disable
//! that, so that a light that is to go on would blink, and one with `invert` would flash.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use rppal::pwm::{self, Polarity, Pwm};

/// An exported channel.
#[derive(Debug)]
pub struct OpenChannel {
    /// The folder of its files.
    files: PathBuf,
    /// `None` if the channel ran already.
    rppal: Option<Pwm>,
}

impl OpenChannel {
    /// Exports a channel of a pwmchip, if it is not yet. One that runs goes on as it is.
    ///
    /// # Errors
    /// The channel cannot be exported.
    pub fn open(chip: u8, channel: u8) -> pwm::Result<OpenChannel> {
        let mut open = OpenChannel {
            files: format!("/sys/class/pwm/pwmchip{chip}/pwm{channel}").into(),
            rppal: None,
        };
        if !open.is_enabled().unwrap_or(false) {
            let mut pwm = Pwm::with_pwmchip(chip, channel)?;
            // Off is a duty of 0 on an enabled channel, also after the service has ended.
            pwm.set_reset_on_drop(false);
            open.rppal = Some(pwm);
        }
        Ok(open)
    }

    /// Whether the channel ran already when it was opened.
    pub fn was_running(&self) -> bool {
        self.rppal.is_none()
    }

    /// The period in ns; 0 on a channel that was never used.
    pub fn period_ns(&self) -> pwm::Result<u64> {
        Ok(self.read("period")?.parse().unwrap_or(0))
    }

    pub fn set_period_ns(&self, ns: u64) -> pwm::Result<()> {
        match &self.rppal {
            Some(pwm) => pwm.set_period(Duration::from_nanos(ns)),
            None => self.write("period", ns),
        }
    }

    /// The pulse in ns.
    pub fn pulse_ns(&self) -> pwm::Result<u64> {
        Ok(self.read("duty_cycle")?.parse().unwrap_or(0))
    }

    pub fn set_pulse_ns(&self, ns: u64) -> pwm::Result<()> {
        match &self.rppal {
            Some(pwm) => pwm.set_pulse_width(Duration::from_nanos(ns)),
            None => self.write("duty_cycle", ns),
        }
    }

    pub fn is_inversed(&self) -> pwm::Result<bool> {
        Ok(self.read("polarity")? == "inversed")
    }

    /// Sets the normal polarity of a disabled channel.
    pub fn set_normal(&self) -> pwm::Result<()> {
        match &self.rppal {
            Some(pwm) => pwm.set_polarity(Polarity::Normal),
            None => self.write("polarity", "normal"),
        }
    }

    pub fn is_enabled(&self) -> pwm::Result<bool> {
        Ok(self.read("enable")? == "1")
    }

    pub fn enable(&self) -> pwm::Result<()> {
        match &self.rppal {
            Some(pwm) => pwm.enable(),
            None => self.write("enable", 1),
        }
    }

    pub fn disable(&self) -> pwm::Result<()> {
        match &self.rppal {
            Some(pwm) => pwm.disable(),
            None => self.write("enable", 0),
        }
    }

    fn read(&self, file: &str) -> pwm::Result<String> {
        let value = fs::read_to_string(self.files.join(file))?;
        Ok(value.trim().to_owned())
    }

    fn write(&self, file: &str, value: impl ToString) -> pwm::Result<()> {
        Ok(fs::write(self.files.join(file), value.to_string())?)
    }
}
