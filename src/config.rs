//! Settings: `dimmer.toml`, `DIMMER_…` variables and flags, merged into one [`Config`].
//!
//! Flags beat variables, variables beat the file, the file beats the defaults.

mod file;
mod light;
mod mqtt;

use std::env;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};

use crate::model::timers::Place;
use crate::platform::host::Host;
use crate::platform::password::Hash;
use crate::platform::tls::Tls;
use file::File;
pub use light::{DriverChoice, LightConfig, OnStart, OnStop};
pub use mqtt::{Broker, GROUP, Login, MqttConfig};

/// Most lights that one service drives.
pub const MAX_LIGHTS: usize = 16;

/// The flags that say what the lights are, each with its variable.
#[derive(Debug, Default, clap::Args)]
pub struct LightOptions {
    /// Settings file [default: /etc/dimmer/dimmer.toml, if there is one]
    #[arg(long, env = "DIMMER_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// GPIO (BCM number) of the LED [default: 21]
    #[arg(long, env = "DIMMER_GPIO", value_name = "0-27", value_parser = clap::value_parser!(u8).range(0..=27))]
    pub gpio: Option<u8>,

    /// What moves the pin of every light [default: auto]
    #[arg(long, env = "DIMMER_DRIVER", value_enum)]
    pub driver: Option<DriverChoice>,

    /// PWM frequency of every light, in Hz [default: 1000 for kernel-pwm, 200 for software-pwm]
    #[arg(long, env = "DIMMER_FREQUENCY", value_name = "HZ", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub frequency: Option<u32>,
}

/// The flags of `dimmer serve`, each with its variable.
#[derive(Debug, Default, clap::Args)]
pub struct Options {
    /// What the lights are.
    #[command(flatten)]
    pub lights: LightOptions,

    /// Address and port to listen on [default: 0.0.0.0:5000]
    #[arg(long, env = "DIMMER_LISTEN", value_name = "ADDRESS:PORT")]
    pub listen: Option<SocketAddr>,

    /// Names that the service is reached by, and pages of others that may use it [default: none].
    /// IP addresses, localhost, .local names and this machine's own always work
    #[arg(
        long,
        env = "DIMMER_ALLOWED_HOSTS",
        value_name = "NAME,…",
        value_delimiter = ','
    )]
    pub allowed_hosts: Option<Vec<Host>>,

    /// File with the hash of the password, made by dimmer password [default: the systemd
    /// credential named password, else no password]
    #[arg(long, env = "DIMMER_PASSWORD_FILE", value_name = "FILE")]
    pub password_file: Option<PathBuf>,

    /// Folder that keeps the levels [default: $STATE_DIRECTORY, else the XDG state folder]
    #[arg(long, env = "DIMMER_STATE_DIR", value_name = "FOLDER")]
    pub state_dir: Option<PathBuf>,

    /// Folder where simulated lights write each duty they get, a line each: time in ns, duty
    #[arg(long, env = "DIMMER_TRACE", value_name = "FOLDER")]
    pub trace: Option<PathBuf>,
}

/// All that `dimmer serve` has to know.
#[derive(Debug)]
pub struct Config {
    /// Where the service listens.
    pub listen: SocketAddr,
    /// Whether it is announced on the LAN.
    pub mdns: bool,
    /// Who may use it, and how many at once.
    pub web: WebConfig,
    /// With which broker MQTT is spoken; `None`: with none.
    pub mqtt: Option<MqttConfig>,
    /// Folder that keeps the levels.
    pub state_dir: PathBuf,
    /// Folder where simulated lights write their duties.
    pub trace: Option<PathBuf>,
    /// Where the sun is seen from, if it is known.
    pub place: Option<Place>,
    /// Whether it is kept and told who is here, and who did what.
    pub activity: bool,
    /// 1 to [`MAX_LIGHTS`] lights; their names and GPIOs differ.
    pub lights: Vec<LightConfig>,
}

/// Who may use the service over the network, and how many at once.
#[derive(Debug)]
pub struct WebConfig {
    /// Hosts that it may be addressed as, and whose pages may use it, beside its own.
    pub allowed_hosts: Vec<Host>,
    /// Most pages open at once.
    pub max_pages: usize,
    /// Most of these from one address.
    pub max_pages_per_address: usize,
    /// Whether it speaks with the tutorials' clients.
    pub socketio: bool,
    /// What is known of the password; `None`: it takes none.
    pub password: Option<Hash>,
    /// Its certificate; `None`: it speaks plain HTTP.
    pub tls: Option<Arc<Tls>>,
}

impl Config {
    /// Reads the file and puts the options over it.
    ///
    /// # Errors
    /// The file cannot be read or holds something it may not, or the options contradict it. The
    /// message is one line that says where and what is allowed.
    pub fn load(options: Options) -> anyhow::Result<Config> {
        let file = File::load(options.lights)?;
        let password_file = options
            .password_file
            .or(file.password_file)
            .or_else(|| credential("password"));
        let tls = match (file.tls_cert, file.tls_key) {
            (Some(cert), Some(key)) => Some(Arc::new(Tls::load(cert, key)?)),
            _ => None,
        };
        Ok(Config {
            listen: options.listen.unwrap_or(file.listen),
            mdns: file.mdns,
            web: WebConfig {
                allowed_hosts: options.allowed_hosts.unwrap_or(file.allowed_hosts),
                max_pages: file.max_pages,
                max_pages_per_address: file.max_pages_per_address,
                socketio: file.socketio,
                password: password_file.as_deref().map(Hash::read).transpose()?,
                tls,
            },
            mqtt: file
                .mqtt
                .map(|mqtt| mqtt.load().context("[mqtt]"))
                .transpose()?,
            state_dir: match options.state_dir {
                Some(folder) => folder,
                None => default_state_dir()?,
            },
            trace: options.trace,
            place: file
                .latitude
                .zip(file.longitude)
                .map(|(latitude, longitude)| Place {
                    latitude,
                    longitude,
                }),
            activity: file.activity,
            lights: file.light,
        })
    }
}

/// Only the lights, for commands that do not serve.
///
/// # Errors
/// As [`Config::load`].
pub fn load_lights(options: LightOptions) -> anyhow::Result<Vec<LightConfig>> {
    Ok(File::load(options)?.light)
}

/// The lights of settings in the form of `dimmer.toml`, which came from the file `name`.
///
/// # Errors
/// They are wrong; the message is one line with the file, the line, the setting and what is allowed.
pub fn lights_in(text: &str, name: &str) -> anyhow::Result<Vec<LightConfig>> {
    Ok(file::parse(text, name)?.light)
}

/// The file that systemd made of a line `LoadCredential=name:…`, if there is one.
fn credential(name: &str) -> Option<PathBuf> {
    let folder = env::var_os("CREDENTIALS_DIRECTORY")?;
    Some(Path::new(&folder).join(name)).filter(|file| file.exists())
}

/// The folder that systemd made for the service, else the user's own.
fn default_state_dir() -> anyhow::Result<PathBuf> {
    let set = |variable| env::var_os(variable).filter(|value| !value.is_empty());
    if let Some(folders) = set("STATE_DIRECTORY") {
        // systemd separates several by colons; dimmer's unit has one.
        return Ok(env::split_paths(&folders).next().unwrap_or_default());
    }
    if let Some(folder) = set("XDG_STATE_HOME") {
        return Ok(Path::new(&folder).join("dimmer"));
    }
    if let Some(home) = set("HOME") {
        return Ok(Path::new(&home).join(".local/state/dimmer"));
    }
    bail!("no place for the levels: set --state-dir, or the variable HOME")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn options_beat_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dimmer.toml");
        fs::write(
            &path,
            "listen = \"127.0.0.1:1\"\nallowed_hosts = [\"a.example\"]\n[[light]]\nfrequency = 50\n",
        )
        .unwrap();
        let lights = || LightOptions {
            config: Some(path.clone()),
            ..LightOptions::default()
        };
        let options = || Options {
            lights: lights(),
            state_dir: Some("here".into()),
            ..Options::default()
        };
        let config = Config::load(options()).unwrap();
        assert_eq!(config.listen.port(), 1);
        assert_eq!(config.web.allowed_hosts, ["a.example".parse().unwrap()]);
        assert_eq!(config.lights[0].frequency, Some(50));

        let config = Config::load(Options {
            listen: Some("127.0.0.1:2".parse().unwrap()),
            allowed_hosts: Some(vec!["b.example".parse().unwrap()]),
            lights: LightOptions {
                gpio: Some(18),
                driver: Some(DriverChoice::Simulated),
                frequency: Some(60),
                ..lights()
            },
            ..options()
        })
        .unwrap();
        assert_eq!(config.listen.port(), 2);
        assert_eq!(config.web.allowed_hosts, ["b.example".parse().unwrap()]);
        let led = &config.lights[0];
        assert_eq!((led.gpio, led.frequency), (18, Some(60)));
        assert_eq!(led.driver, DriverChoice::Simulated);
    }
    #[test]
    fn the_flag_for_the_gpio_cannot_take_the_button_s() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dimmer.toml");
        fs::write(&path, "[[light]]\nbutton_gpio = 20\n").unwrap();
        let error = load_lights(LightOptions {
            config: Some(path),
            gpio: Some(20),
            ..LightOptions::default()
        });
        assert_eq!(
            error.unwrap_err().to_string(),
            "button_gpio of light led must be a GPIO of its own, from 0 to 27, not 20"
        );
    }
}
