//! The flags, and their variables.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::light::{DriverChoice, parse_gpio};
use crate::platform::host::Host;

/// The flags that describe the lights, each with its variable.
#[derive(Debug, Default, clap::Args)]
pub struct LightOptions {
    /// Settings file [default: /etc/dimmer/dimmer.toml, if it exists]
    #[arg(long, env = "DIMMER_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// GPIO (BCM number) of the LED [default: 21]
    #[arg(long, env = "DIMMER_GPIO", value_name = "0-27", value_parser = parse_gpio)]
    pub gpio: Option<u8>,

    /// Driver of every light's pin [default: auto]
    #[arg(long, env = "DIMMER_DRIVER", value_enum)]
    pub driver: Option<DriverChoice>,

    /// PWM frequency of every light, in Hz [default: 1000 for kernel-pwm, 200 for software-pwm]
    #[arg(long, env = "DIMMER_FREQUENCY", value_name = "HZ", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub frequency: Option<u32>,
}

/// The flags of `dimmer serve`, each with its variable.
#[derive(Debug, Default, clap::Args)]
pub struct Options {
    /// The flags that describe the lights.
    #[command(flatten)]
    pub lights: LightOptions,

    /// Address and port to listen on [default: 0.0.0.0:5000]
    #[arg(long, env = "DIMMER_LISTEN", value_name = "ADDRESS:PORT")]
    pub listen: Option<SocketAddr>,

    /// Host names of the service, and hosts whose pages may use it [default: none].
    /// IP addresses, localhost, .local names and this machine's own names are always allowed
    #[arg(
        long,
        env = "DIMMER_ALLOWED_HOSTS",
        value_name = "NAME,…",
        value_delimiter = ','
    )]
    pub allowed_hosts: Option<Vec<Host>>,

    /// File with the hash of the password, as dimmer password prints it [default: the systemd
    /// credential named password, else no password]
    #[arg(long, env = "DIMMER_PASSWORD_FILE", value_name = "FILE")]
    pub password_file: Option<PathBuf>,

    /// Folder for the stored levels [default: $STATE_DIRECTORY, else the XDG state folder]
    #[arg(long, env = "DIMMER_STATE_DIR", value_name = "FOLDER")]
    pub state_dir: Option<PathBuf>,

    /// Folder where simulated lights write each duty as a line: time in ns, duty
    #[arg(long, env = "DIMMER_TRACE", value_name = "FOLDER")]
    pub trace: Option<PathBuf>,
}
