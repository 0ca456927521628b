//! The settings file `dimmer.toml`.

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::{Context, Error, anyhow, ensure};
use serde::{Deserialize, Deserializer, de};

use super::light::LightConfig;
use super::mqtt::MqttFile;
use super::options::LightOptions;
use crate::model::settings::{self, FileSettings, HouseSettings};
use crate::platform::host::Host;

/// The most lights of one service.
pub const MAX_LIGHTS: usize = 16;
/// The settings file where none is named.
const DEFAULT_FILE: &str = "/etc/dimmer/dimmer.toml";

/// The contents of `dimmer.toml`. systemd/dimmer.toml describes each setting.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct File {
    pub listen: SocketAddr,
    pub mdns: bool,
    #[serde(deserialize_with = "allowed_hosts")]
    pub allowed_hosts: Vec<Host>,
    pub max_pages: usize,
    pub max_pages_per_address: usize,
    pub socketio: bool,
    pub password_file: Option<PathBuf>,
    pub tls_cert: Option<PathBuf>,
    pub tls_key: Option<PathBuf>,
    #[serde(deserialize_with = "settings::latitude")]
    pub latitude: Option<f64>,
    #[serde(deserialize_with = "settings::longitude")]
    pub longitude: Option<f64>,
    #[serde(deserialize_with = "settings::title")]
    pub title: Option<String>,
    pub settings: SettingsPlace,
    pub activity: bool,
    pub matter: MatterFile,
    pub mqtt: Option<MqttFile>,
    pub light: Vec<LightConfig>,
    /// The names of the settings that are in the file, besides those of its tables.
    #[serde(skip)]
    pub given: BTreeSet<String>,
}

/// `[matter]` of `dimmer.toml`.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MatterFile {
    pub enabled: bool,
}

/// Where settings may be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SettingsPlace {
    /// On the page and by other clients, too.
    #[default]
    Page,
    /// In the file alone.
    File,
}

impl Default for File {
    fn default() -> File {
        File {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 5000),
            mdns: true,
            allowed_hosts: Vec::new(),
            max_pages: 1024,
            max_pages_per_address: 64,
            socketio: true,
            password_file: None,
            tls_cert: None,
            tls_key: None,
            latitude: None,
            longitude: None,
            title: None,
            settings: SettingsPlace::Page,
            activity: true,
            matter: MatterFile::default(),
            mqtt: None,
            light: vec![LightConfig::default()],
            given: BTreeSet::new(),
        }
    }
}

impl File {
    /// Reads the file that the options name, and overrides the settings of its lights.
    pub fn load(options: LightOptions) -> anyhow::Result<File> {
        let mut file = match path(options.config.as_deref()) {
            Some(path) => read(path)?,
            None => File::default(),
        };
        if let Some(gpio) = options.gpio {
            ensure!(
                file.light.len() == 1,
                "--gpio is for one light, but the settings have {}: set gpio in each [[light]] instead",
                file.light.len()
            );
            file.light[0].gpio = gpio;
            check_buttons(&file.light)?;
        }
        for light in &mut file.light {
            light.driver = options.driver.unwrap_or(light.driver);
            light.frequency = options.frequency.or(light.frequency);
        }
        Ok(file)
    }

    /// The settings that may be changed while the service runs.
    pub fn settings(&self) -> FileSettings {
        let lights = self.light.iter().map(|light| {
            let settings = (light.settings(), light.given.clone());
            (light.name.clone(), settings)
        });
        FileSettings {
            locked: self.settings == SettingsPlace::File,
            house: self.house(),
            given: self.given.clone(),
            lights: lights.collect(),
        }
    }

    fn house(&self) -> HouseSettings {
        HouseSettings {
            title: self.title.clone(),
            latitude: self.latitude,
            longitude: self.longitude,
        }
    }
}

fn read(path: &Path) -> anyhow::Result<File> {
    parse(&text(path)?, &path.display().to_string())
}

/// The path that is named, or else the default one if there is a file.
pub fn path(named: Option<&Path>) -> Option<&Path> {
    let default = || Some(Path::new(DEFAULT_FILE)).filter(|path| path.exists());
    named.or_else(default)
}

/// The text of a settings file.
pub fn text(path: &Path) -> anyhow::Result<String> {
    let name = path.display();
    let bytes = fs::read(path).with_context(|| format!("cannot read the settings {name}"))?;
    String::from_utf8(bytes).map_err(|error| {
        let (before, rest) = error.as_bytes().split_at(error.utf8_error().valid_up_to());
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        anyhow!(
            "{name}:{line}: must be in UTF-8, and the byte 0x{:02x} is not: save the file in \
             UTF-8, not in Latin-1 or another encoding",
            rest[0]
        )
    })
}

/// Parses the settings in `text`; `name` is the file's name for errors.
pub fn parse(text: &str, name: &str) -> anyhow::Result<File> {
    let mut file: File = toml::from_str(text).map_err(|error| {
        let message = rephrase(&error.message().replace('\n', "; "));
        match error.span() {
            Some(span) => {
                let line = text[..span.start].matches('\n').count() + 1;
                anyhow!("{name}:{line}: {message}")
            }
            None => anyhow!("{name}: {message}"),
        }
    })?;
    check(&file).with_context(|| name.to_owned())?;
    note_given(&mut file, text);
    Ok(file)
}

/// Notes which settings are in the file: their values do not tell that from the defaults.
fn note_given(file: &mut File, text: &str) {
    let names = |table: &toml::Table| table.keys().cloned().collect();
    let table: toml::Table = text.parse().unwrap_or_default();
    file.given = names(&table);
    let lights = table.get("light").and_then(toml::Value::as_array);
    let lights = lights.into_iter().flatten();
    for (light, table) in file.light.iter_mut().zip(lights) {
        light.given = table.as_table().map(names).unwrap_or_default();
    }
}

/// serde's message, except that one about an unknown setting suggests the most similar setting, and that
/// one about a type calls it as people do.
fn rephrase(message: &str) -> String {
    if !message.starts_with("unknown field") {
        return settings::in_words(message);
    }
    // unknown field `a`, expected one of `b`, `c`
    let mut names = message.split('`').skip(1).step_by(2);
    let unknown = names.next().unwrap_or_default();
    let known: Vec<_> = names.collect();
    let similarity = |name: &&str| strsim::normalized_damerau_levenshtein(unknown, name);
    let nearest = known
        .iter()
        .copied()
        .filter(|name| similarity(name) >= 0.5)
        .max_by(|a, b| similarity(a).total_cmp(&similarity(b)));
    match nearest {
        Some(name) => format!("unknown setting `{unknown}`; did you mean `{name}`?"),
        None => format!(
            "unknown setting `{unknown}`; there are {}",
            known.join(", ")
        ),
    }
}

/// Checks what depends on more than one setting.
fn check(file: &File) -> anyhow::Result<()> {
    let count = file.light.len();
    ensure!(
        (1..=MAX_LIGHTS).contains(&count),
        "there must be 1 to {MAX_LIGHTS} [[light]] tables, not {count}"
    );
    ensure!(file.max_pages > 0, "max_pages must be at least 1, not 0");
    ensure!(
        file.max_pages_per_address > 0,
        "max_pages_per_address must be at least 1, not 0"
    );
    ensure!(
        file.tls_cert.is_some() == file.tls_key.is_some(),
        "tls_cert and tls_key must both be set, or neither"
    );
    ensure!(
        file.mqtt.is_none() || cfg!(feature = "mqtt"),
        "[mqtt]: this dimmer is built without MQTT, the Cargo feature mqtt"
    );
    ensure!(
        !file.matter.enabled || cfg!(feature = "matter"),
        "[matter]: this dimmer is built without Matter, the Cargo feature matter"
    );
    file.house().check().map_err(Error::msg)?;
    let (mut names, mut gpios) = (HashSet::new(), HashSet::new());
    for light in &file.light {
        ensure!(
            names.insert(&light.name),
            "two lights have the name {:?}",
            light.name
        );
        ensure!(
            gpios.insert(light.gpio),
            "two lights have the gpio {}",
            light.gpio
        );
        let (min, max) = (light.min_duty, light.max_duty);
        settings::check_range(&light.name, min, max).map_err(Error::msg)?;
    }
    check_buttons(&file.light)
}

/// Checks that no button has the GPIO of a light or of another button.
fn check_buttons(lights: &[LightConfig]) -> anyhow::Result<()> {
    let mut gpios: HashSet<u8> = lights.iter().map(|light| light.gpio).collect();
    for light in lights {
        if let Some(gpio) = light.button_gpio {
            ensure!(
                gpios.insert(gpio),
                "button_gpio of light {} must be a GPIO of its own, from 0 to 27, not {gpio}",
                light.name
            );
        }
    }
    Ok(())
}

fn allowed_hosts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Host>, D::Error> {
    Vec::<String>::deserialize(deserializer)?
        .iter()
        .map(|host| host.parse())
        .collect::<Result<_, _>>()
        .map_err(|error| de::Error::custom(format!("each of allowed_hosts {error}")))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::{DriverChoice, OnStart, OnStop};
    use crate::model::effect::Speed;
    use crate::model::level::{Curve, Level};
    use crate::model::warmth::Warmth;

    fn parse(text: &str) -> anyhow::Result<File> {
        super::parse(text, "dimmer.toml")
    }

    #[test]
    fn an_empty_file_means_one_led_on_gpio_21() {
        let file = parse("").unwrap();
        assert_eq!(file.listen.to_string(), "0.0.0.0:5000");
        let led = &file.light[0];
        assert_eq!((led.name.as_str(), led.gpio), ("led", 21));
        assert_eq!(led.on_start, OnStart::Restore);
    }

    #[test]
    fn the_example_file_has_the_defaults() {
        let example = parse(include_str!("../../systemd/dimmer.toml")).unwrap();
        let default = parse("[[light]]").unwrap();
        let values = |mut file: File| {
            file.given.clear();
            file.light[0].given.clear();
            format!("{file:?}")
        };
        assert_eq!(values(example), values(default));
    }

    #[test]
    fn every_setting_is_read() {
        let file = parse(
            r#"
            listen = "127.0.0.1:80"
            mdns = false
            allowed_hosts = ["Dimmer.example", "10.0.0.9"]
            max_pages = 7
            max_pages_per_address = 3
            socketio = false
            password_file = "/etc/dimmer/password"
            [[light]]
            name = "desk"
            title = "Mesa, à esquerda"
            hidden = true
            warmth = 2700
            gpio = 18
            button_gpio = 20
            driver = "kernel-pwm"
            frequency = 400
            curve = "perceptual"
            invert = true
            min_duty = 2.5
            max_duty = 80
            transition = 0.5
            allow_shared_gpio = true
            allow_fast_strobe = true
            on_start = 30
            on_stop = "keep"
            groups = ["upstairs", "all"]
            [[light]]
            name = "shelf"
            warmth = '#fa5'
            gpio = 19
            on_start = "off"
            [mqtt]
            broker = "mqtts://10.0.0.9"
            username = "ana"
            password_file = "/etc/dimmer/mqtt-password"
            ca = "/etc/dimmer/ca.pem"
            node = "attic"
            discovery_prefix = "home"
            fleet = true
            "#,
        )
        .unwrap();
        let desk = &file.light[0];
        assert!(!file.mdns);
        assert_eq!(
            file.allowed_hosts,
            [
                "dimmer.example".parse::<Host>().unwrap(),
                "10.0.0.9".parse().unwrap()
            ]
        );
        assert_eq!((file.max_pages, file.max_pages_per_address), (7, 3));
        assert!(!file.socketio);
        assert_eq!(file.password_file, Some("/etc/dimmer/password".into()));
        assert_eq!(
            (desk.title.as_deref(), desk.hidden),
            (Some("Mesa, à esquerda"), true)
        );
        assert_eq!(file.light[1].title, None);
        assert_eq!(desk.warmth, Warmth::from_kelvin(2700));
        assert_eq!(file.light[1].warmth, "#ffaa55".parse().ok());
        assert_eq!(desk.fastest(), Speed::MAX);
        assert_eq!(file.light[1].fastest(), Speed::SAFE);
        assert_eq!((desk.gpio, desk.button_gpio), (18, Some(20)));
        assert_eq!(file.light[1].button_gpio, None);
        assert!(desk.allow_shared_gpio && !file.light[1].allow_shared_gpio);
        assert_eq!(desk.driver, DriverChoice::KernelPwm);
        assert_eq!(desk.frequency, Some(400));
        assert_eq!(desk.curve, Curve::Perceptual);
        assert!(desk.invert);
        assert_eq!((desk.min_duty, desk.max_duty), (2.5, 80.0));
        assert_eq!(desk.transition, Duration::from_millis(500));
        assert_eq!(
            desk.on_start,
            OnStart::Level(Level::from_percent(30.0).unwrap())
        );
        assert_eq!(desk.on_stop, OnStop::Keep);
        assert_eq!(desk.groups, ["upstairs", "all"]);
        assert_eq!(file.light[1].on_start, OnStart::Level(Level::OFF));
    }

    #[test]
    fn settings_in_another_encoding_are_named_by_their_line() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = b"mdns = true\n[[light]]\ntitle = \"Lumin\xe1ria\"\n";
        fs::write(file.path(), text).unwrap();
        let error = read(file.path()).unwrap_err().to_string();
        let name = file.path().display();
        let expected =
            format!("{name}:3: must be in UTF-8, and the byte 0xe1 is not: save the file");
        assert!(error.starts_with(&expected), "{error}");
    }

    #[test]
    fn a_wrong_setting_names_its_line_its_value_and_what_is_allowed() {
        for (text, expected) in [
            ("\nlisten = 5000", "dimmer.toml:2: invalid type"),
            (
                "colour = 1",
                "dimmer.toml:1: unknown setting `colour`; there are listen, mdns, allowed_hosts, ",
            ),
            (
                "[[lights]]",
                "dimmer.toml:1: unknown setting `lights`; did you mean `light`?",
            ),
            (
                "[[light]]\nname = \"led\"\nfreqency = 100",
                "dimmer.toml:3: unknown setting `freqency`; did you mean `frequency`?",
            ),
            (
                "[[light]]\nonstop = \"off\"",
                "dimmer.toml:2: unknown setting `onstop`; did you mean `on_stop`?",
            ),
            (
                "[[light]]\nsteps = 10",
                "dimmer.toml:2: unknown setting `steps`; there are name, title, ",
            ),
            (
                "max_pages = 0",
                "dimmer.toml: max_pages must be at least 1, not 0",
            ),
            (
                "max_pages_per_address = 0",
                "max_pages_per_address must be at least 1, not 0",
            ),
            (
                "tls_cert = \"cert.pem\"",
                "tls_cert and tls_key must both be set, or neither",
            ),
            (
                "\nallowed_hosts = [\"pi.lan:80\"]",
                "dimmer.toml:2: each of allowed_hosts must be a name or an IP address, \
                 without scheme and port, not \"pi.lan:80\"",
            ),
            (
                "\nlatitude = 91",
                "dimmer.toml:2: latitude must be from -90 to 90 degrees, not 91",
            ),
            (
                "longitude = 8",
                "latitude and longitude must both be set, or neither",
            ),
            (
                "light = []",
                "there must be 1 to 16 [[light]] tables, not 0",
            ),
            (
                "[[light]]\ngpio = 40",
                "dimmer.toml:2: gpio must be from 0 to 27, not 40",
            ),
            (
                "[[light]]\ngpio = 40",
                "gpio must be from 0 to 27, not 40; pin 40 of the header is GPIO 21",
            ),
            (
                "[[light]]\ngpio = \"GPIO21\"",
                "dimmer.toml:2: gpio must be a number from 0 to 27 without quotes, as in gpio = 21, \
                 not \"GPIO21\"",
            ),
            (
                "[[light]]\nbutton_gpio = 28",
                "dimmer.toml:2: button_gpio must be from 0 to 27, not 28; pin 28 of the header is GPIO 1",
            ),
            (
                "[[light]]\nwarmth = 200",
                "dimmer.toml:2: warmth must be the LED's colour, in kelvin from 1700 to 25000 as in warmth = 2700, or as in warmth = \"#ffa757\", not 200",
            ),
            ("[[light]]\nwarmth = \"red\"", "not \"red\""),
            ("[[light]]\nwarmth = \"#000\"", "not \"#000\""),
            ("[[light]]\nwarmth = true", "not of type boolean"),
            (
                "[[light]]\nfrequency = \"100\"",
                "dimmer.toml:2: invalid type: string \"100\", expected a whole number without quotes",
            ),
            (
                "mdns = \"yes\"",
                "dimmer.toml:1: invalid type: string \"yes\", expected true or false without quotes",
            ),
            (
                "[[light]]\n[[light]]\nname = \"b\"\ngpio = 2\nbutton_gpio = 21",
                "button_gpio of light b must be a GPIO of its own, from 0 to 27, not 21",
            ),
            (
                "[[light]]\nbutton_gpio = 3\n[[light]]\nname = \"b\"\ngpio = 2\nbutton_gpio = 3",
                "button_gpio of light b must be a GPIO of its own, from 0 to 27, not 3",
            ),
            (
                "[[light]]\nname = \"Küche\"",
                "dimmer.toml:2: name must be 1 to 32 of a-z, 0-9 and -, not \"Küche\"",
            ),
            (
                "[[light]]\ntitle = \"\"",
                "dimmer.toml:2: title must have 1 to 40 characters, not 0",
            ),
            (
                "[[light]]\ndriver = \"gpiozero\"",
                "dimmer.toml:2: unknown variant `gpiozero`",
            ),
            (
                "[[light]]\nfrequency = 0",
                "dimmer.toml:2: frequency must be from 1 to 100000, not 0",
            ),
            (
                "[[light]]\nmin_duty = 101",
                "dimmer.toml:2: min_duty must be from 0 to 100, not 101",
            ),
            (
                "[[light]]\nmax_duty = nan",
                "dimmer.toml:2: max_duty must be from 0 to 100, not NaN",
            ),
            (
                "[[light]]\nmin_duty = 5\nmax_duty = 5",
                "dimmer.toml: max_duty of light led must be above its min_duty, 5, up to 100, not 5",
            ),
            (
                "[[light]]\ntransition = -1",
                "dimmer.toml:2: transition must be from 0 to 3600 seconds, not -1",
            ),
            (
                "[[light]]\non_start = \"on\"",
                "dimmer.toml:2: on_start must be \"restore\", \"off\" or a level, not \"on\"",
            ),
            (
                "[[light]]\non_start = true",
                "dimmer.toml:2: on_start must be \"restore\", \"off\" or a level",
            ),
            (
                "[[light]]\non_start = 101",
                "dimmer.toml:2: on_start must be from 0 to 100, not 101",
            ),
            (
                "[[light]]\n[[light]]\ngpio = 2",
                "two lights have the name \"led\"",
            ),
            (
                "[[light]]\n[[light]]\nname = \"b\"",
                "two lights have the gpio 21",
            ),
            (
                "[[light]]\ngroups = [\"up stairs\"]",
                "dimmer.toml:2: each of groups must be 1 to 32 of a-z, 0-9 and -, not \"up stairs\"",
            ),
            (
                "[[light]]\ngroups = [\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\"]",
                "dimmer.toml:2: groups must be at most 8, not 9",
            ),
            (
                "[matter]\nenable = true",
                "dimmer.toml:2: unknown setting `enable`; did you mean `enabled`?",
            ),
            ("[mqtt]\nnode = \"a\"", "missing field `broker`"),
            (
                "[mqtt]\nbroker = \"pi:1883\"",
                "dimmer.toml:2: broker must be mqtt://host:port or mqtts://host:port, not \"pi:1883\"",
            ),
            (
                "[mqtt]\nbroker = \"mqtt://pi\"\nnode = \"My Pi\"",
                "dimmer.toml:3: node must be 1 to 32 of a-z, 0-9 and -, not \"My Pi\"",
            ),
            (
                "[mqtt]\nbroker = \"mqtt://pi\"\nnode = \"group\"",
                "dimmer.toml:3: node must not be \"group\"",
            ),
            (
                "[mqtt]\nbroker = \"mqtt://pi\"\ndiscovery_prefix = \"a/#\"",
                "dimmer.toml:3: discovery_prefix must be 1 to 64 bytes without + and #, not \"a/#\"",
            ),
            (
                "[mqtt]\nbroker = \"mqtt://pi\"\npasword_file = \"x\"",
                "dimmer.toml:3: unknown setting `pasword_file`; did you mean `password_file`?",
            ),
            ("[[light]\n", "dimmer.toml:1: "),
        ] {
            let error = format!("{:#}", parse(text).unwrap_err());
            assert!(error.contains(expected), "{text:?} gave {error:?}");
            assert!(!error.contains('\n'), "{error:?} is more than one line");
        }
    }
}
