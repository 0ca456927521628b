//! Settings: `dimmer.toml`, `DIMMER_…` variables and flags, merged into one [`Config`].
//!
//! Flags override variables, variables override the file, and the file overrides the defaults.

mod credential;
mod file;
mod light;
mod mqtt;
mod options;

use std::env;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};

use crate::model::settings::FileSettings;
pub use crate::model::settings::OnStart;
use crate::platform::host::Host;
use crate::platform::password::Hash;
use crate::platform::tls::Tls;
use credential::credential;
use file::File;
pub use file::MAX_LIGHTS;
pub use light::{DriverChoice, LightConfig, OnStop};
pub use mqtt::{Broker, BrokerLogin, Entity, GROUP, MqttConfig};
pub use options::{LightOptions, Options};

/// The settings of the service.
#[derive(Debug)]
pub struct Config {
    /// Address and port to listen on.
    pub listen: SocketAddr,
    /// Whether to announce the service on the LAN.
    pub mdns: bool,
    /// Access over the network.
    pub web: WebConfig,
    /// Whether home apps may control the lights by Matter.
    pub matter: bool,
    /// The MQTT broker, if there is one.
    pub mqtt: Option<MqttConfig>,
    /// Folder for the stored levels.
    pub state_dir: PathBuf,
    /// Folder where simulated lights write their duties, if anywhere.
    pub trace: Option<PathBuf>,
    /// The settings that may be changed while the service runs, as the file has them.
    pub settings: FileSettings,
    /// Whether to record who is connected and who did what, and to send it to all clients.
    pub activity: bool,
    /// 1 to [`MAX_LIGHTS`] lights with different names and GPIOs.
    pub lights: Vec<LightConfig>,
}

/// Access to the service over the network.
#[derive(Debug)]
pub struct WebConfig {
    /// Host names of the service besides those of this machine, and hosts whose pages may use the
    /// service.
    pub allowed_hosts: Vec<Host>,
    /// The most clients at once.
    pub max_pages: usize,
    /// The most clients at once from one address.
    pub max_pages_per_address: usize,
    /// Whether Socket.IO clients are served, such as those of tutorials.
    pub socketio: bool,
    /// The hash of the password; `None` for a service without a password.
    pub password: Option<Hash>,
    /// The certificate; `None` for plain HTTP.
    pub tls: Option<Arc<Tls>>,
}

impl Config {
    /// Reads the settings file, and overrides its settings with the options.
    ///
    /// # Errors
    /// The file cannot be read, a setting is wrong, or the options contradict the file. The message is
    /// one line that says where and what is allowed.
    pub fn load(options: Options) -> anyhow::Result<Config> {
        let file = File::load(options.lights)?;
        let settings = file.settings();
        let password_file = options
            .password_file
            .or(file.password_file)
            .or_else(|| credential("password"));
        let tls = match (file.tls_cert, file.tls_key) {
            (Some(cert), Some(key)) => Some(Arc::new(Tls::load(cert, key)?)),
            _ => None,
        };
        let state_dir = match options.state_dir {
            Some(folder) => folder,
            None => default_state_dir()?,
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
            matter: file.matter.enabled,
            mqtt: file
                .mqtt
                .map(|mqtt| mqtt.load(&state_dir).context("[mqtt]"))
                .transpose()?,
            state_dir,
            trace: options.trace,
            settings,
            activity: file.activity,
            lights: file.light,
        })
    }
}

/// Reads the settings of the lights alone, for commands that do not serve.
///
/// # Errors
/// As [`Config::load`].
pub fn load_lights(options: LightOptions) -> anyhow::Result<Vec<LightConfig>> {
    Ok(File::load(options)?.light)
}

/// The text of the settings file: of this one, or of the default one if it exists.
///
/// # Errors
/// The file cannot be read.
pub fn settings_text(path: Option<&Path>) -> anyhow::Result<Option<String>> {
    file::path(path).map(file::text).transpose()
}

/// Reads the settings of the lights in a text in the format of `dimmer.toml`; `name` is the file's name
/// for errors.
///
/// # Errors
/// A setting is wrong; the message is one line with the file, the line, the setting and what is allowed.
pub fn lights_in(text: &str, name: &str) -> anyhow::Result<Vec<LightConfig>> {
    Ok(file::parse(text, name)?.light)
}

/// The folder that systemd made for the service, or else a folder of the user.
fn default_state_dir() -> anyhow::Result<PathBuf> {
    let variable = |name| env::var_os(name).filter(|value| !value.is_empty());
    if let Some(folders) = variable("STATE_DIRECTORY") {
        // systemd separates several folders by colons; dimmer's unit has one.
        return Ok(env::split_paths(&folders).next().unwrap_or_default());
    }
    if let Some(folder) = variable("XDG_STATE_HOME") {
        return Ok(Path::new(&folder).join("dimmer"));
    }
    if let Some(home) = variable("HOME") {
        return Ok(Path::new(&home).join(".local/state/dimmer"));
    }
    bail!("no folder to store the levels in: set --state-dir, or the variable HOME")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn options_override_the_file() {
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
    fn the_gpio_of_the_flag_must_not_be_a_buttons() {
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
