//! The driver without a pin, for laptops and tests.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use embedded_hal::pwm::{ErrorType, SetDutyCycle};

use super::output::WriteError;

/// Accepts every duty, and appends it to a trace file if there is one.
pub struct Simulated {
    trace: Option<PathBuf>,
}

impl Simulated {
    /// A simulated LED. Each duty becomes a line of `trace`: nanoseconds since 1970, a space, the
    /// duty. The file is opened for each line, so that its folder may be removed and created again;
    /// while the file cannot be written, the writes fail as those of a broken driver do.
    pub fn new(trace: Option<PathBuf>) -> Simulated {
        Simulated { trace }
    }
}

impl ErrorType for Simulated {
    type Error = WriteError;
}

impl SetDutyCycle for Simulated {
    fn max_duty_cycle(&self) -> u16 {
        u16::MAX
    }

    fn set_duty_cycle(&mut self, duty: u16) -> Result<(), WriteError> {
        let Some(path) = &self.trace else {
            return Ok(());
        };
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let line = format!("{} {duty}\n", now.as_nanos());
        let append = || -> io::Result<()> {
            let mut file = OpenOptions::new().create(true).append(true).open(path)?;
            file.write_all(line.as_bytes())
        };
        append().map_err(|error| WriteError(format!("simulated: {}: {error}", path.display())))
    }
}
