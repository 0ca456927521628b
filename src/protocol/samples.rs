//! Serialized values of everything that the service sends, for the tests of its descriptions: the OpenAPI
//! document, docs/wire.md and the client of the command line.
//!
//! Of each kind there is a sample with every optional field and one without.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::matter_resource::MatterResource;
use super::resource::{
    AdviceResource, DiagnosisResource, DoctorResource, ErrorResource, HealthResource, LedResource,
    LightDescription, LightResource, PresetResource, RefusalCode, RestoredResource,
    SettingsResource, TimerResource,
};
use super::server_message::{FaultUpdate, Hello, LightUpdate, RemoteUpdate, ServerMessage};
use crate::model::activity::{Action, Entry};
use crate::model::actor::Actor;
use crate::model::backup::Restored;
use crate::model::effect::{Effect, EffectKind, Speed};
use crate::model::fleet::RemoteState;
use crate::model::level::Level;
use crate::model::lights::{Fault, Light, LightId, LightState, Lights};
use crate::model::matter::{Codes, Fabric, MatterState, Window};
use crate::model::presets::{Preset, Scene};
use crate::model::settings::{FileSettings, LightSettings, SetHere, Settings};
use crate::model::timers::{Daily, Timer, TimerAction, Waiting};
use crate::model::warmth::Warmth;

const SUNRISE: Effect = Effect {
    kind: EffectKind::Sunrise,
    speed: Speed::NORMAL,
};

fn json(value: impl Serialize) -> Value {
    serde_json::to_value(value).unwrap()
}

/// A client with a name.
fn ana() -> Actor {
    Actor::Client {
        number: 1,
        address: Ipv4Addr::LOCALHOST.into(),
        name: Some("Ana".into()),
    }
}

/// Every actor.
pub fn actors() -> [Actor; 7] {
    let actors = [
        ana(),
        Actor::Matter(Some("Flat of Ana".into())),
        Actor::Api(Ipv4Addr::LOCALHOST.into()),
        Actor::Mqtt,
        Actor::Matter(None),
        Actor::Timer,
        Actor::Button,
    ];
    for actor in &actors {
        match actor {
            // A new actor belongs here and above.
            Actor::Client { .. } | Actor::Api(_) => {}
            Actor::Mqtt | Actor::Matter(_) | Actor::Timer | Actor::Button => {}
        }
    }
    actors
}

/// A light without optional fields, and one with all of them.
fn lights() -> Lights {
    let still = LightState::new(Level::HALF, Level::HALF);
    let fault = Fault {
        message: "write failed".into(),
        since: SystemTime::now(),
    };
    // A sunrise begins now, so it has time left.
    let mut busy = still.clone().playing(Some(SUNRISE));
    busy.by = Some(Actor::Button);
    busy.fault = Some(fault);
    let shelf = Light {
        fallback: Some("kernel-pwm: cannot export the channel".into()),
        ..Light::simulated("shelf")
    };
    let mut still = still.with(LightSettings {
        warmth: Warmth::from_kelvin(2_700),
        ..LightSettings::default()
    });
    still.is_new = true;
    Lights::new(vec![(shelf, still), (Light::simulated("led"), busy)])
}

/// The bodies that describe a light.
pub fn light_resources() -> Vec<Value> {
    let lights = lights();
    let resources = lights.ids().map(|light| LightResource::of(&lights, light));
    resources.map(json).collect()
}

/// The bodies of `/api/health`.
pub fn health_resources() -> Vec<Value> {
    let good = Lights::new(vec![(
        Light::simulated("led"),
        LightState::new(Level::HALF, Level::HALF),
    )]);
    vec![
        json(HealthResource::of(&lights())),
        json(HealthResource::of(&good)),
    ]
}

/// The body of `/api/doctor`.
pub fn doctor_resource() -> Value {
    let lights = lights();
    let advice = AdviceResource {
        kind: "better",
        text: "kernel-pwm by pwm-gpio: …".into(),
    };
    let [shelf, led] = lights.list() else {
        panic!("there are two lights");
    };
    json(DoctorResource {
        machine: Some("Raspberry Pi 4 Model B Rev 1.4".into()),
        lights: vec![
            DiagnosisResource::new(shelf, Some(40), vec![advice]),
            DiagnosisResource::new(led, None, Vec::new()),
        ],
    })
}

/// The bodies of `/api/matter`: while more can be paired from here, and while not.
pub fn matter_resources() -> Vec<Value> {
    let codes = Codes {
        qr: "MT:Y.K9042C00KA0648G00".into(),
        manual: "3497-011-2332".into(),
    };
    let until = Instant::now() + Duration::from_secs(60);
    let fabric = Fabric {
        index: 1,
        label: "Flat of Ana".into(),
        vendor: 0xfff1,
    };
    let state = MatterState {
        window: Window::Open { until, codes },
        fabrics: vec![fabric],
    };
    vec![
        json(MatterResource::of(&state, true)),
        json(MatterResource::off()),
    ]
}

/// The bodies of a response with an error.
pub fn error_resources() -> Vec<Value> {
    let error = |code| {
        let error = "level must be from 0 to 100, not 150".into();
        json(ErrorResource { error, code })
    };
    vec![error(None), error(Some(RefusalCode::Origin))]
}

/// The body that says what was restored.
pub fn restored_resource() -> Value {
    json(RestoredResource::from(&Restored {
        lights: 2,
        presets: 1,
        timers: 0,
        notes: vec!["timer \"1\" was missed: it is left out".into()],
    }))
}

/// The body of `/api/settings`.
pub fn settings_resource() -> Value {
    let settings = Settings::new(FileSettings::default(), SetHere::default());
    json(SettingsResource::of(&settings, &lights()))
}

/// The body of `/led`.
pub fn led_resource() -> Value {
    json(LedResource::from(Level::HALF))
}

/// The bodies that describe a preset.
pub fn preset_resources() -> Vec<Value> {
    let scene = |effect| Scene {
        level: Level::HALF,
        effect,
    };
    let preset = |effect| Preset::from([("led".into(), scene(effect))]);
    [None, Some(SUNRISE)]
        .map(|effect| json(PresetResource::of("Film", &preset(effect))))
        .into()
}

fn timers() -> Vec<Timer> {
    let least = Timer {
        name: "1".into(),
        light: None,
        daily: None,
        action: TimerAction::Level(Level::HALF),
        transition: None,
        next: Ok(Timestamp::UNIX_EPOCH),
        is_new: false,
    };
    let with = |action| Timer {
        light: Some("led".into()),
        action,
        transition: Some(Duration::from_secs(60)),
        ..least.clone()
    };
    let daily = |at: &str, offset| Daily {
        at: at.parse().unwrap(),
        offset,
        days: Some(vec!["mon".parse().unwrap(), "sun".parse().unwrap()]),
    };
    vec![
        least.clone(),
        Timer {
            daily: Some(daily("sunset", -15)),
            ..with(TimerAction::On(false))
        },
        Timer {
            daily: Some(daily("07:00", 0)),
            ..with(TimerAction::Effect(SUNRISE))
        },
        with(TimerAction::Recall("Film".into())),
        Timer {
            daily: Some(daily("sunset", 0)),
            next: Err(Waiting::Place),
            ..least
        },
    ]
}

/// The bodies that describe a timer.
pub fn timer_resources() -> Vec<Value> {
    let timers = timers();
    timers.iter().map(TimerResource::from).map(json).collect()
}

/// An entry of the audit trail for every action.
pub fn entries() -> Vec<Entry> {
    let light = || "led".to_owned();
    let (preset, timer) = (|| "Film".to_owned(), || "1".to_owned());
    let level = Level::HALF;
    let effect = Some(EffectKind::Candle);
    let actions = vec![
        Action::Joined,
        Action::Left,
        Action::Set {
            light: light(),
            level,
        },
        Action::SetTogether {
            levels: ["desk", "led"].map(|light| (light.into(), level)).into(),
        },
        Action::Effect {
            light: light(),
            effect,
        },
        Action::Effect {
            light: light(),
            effect: None,
        },
        Action::Flashed { light: light() },
        Action::PresetRecalled { preset: preset() },
        Action::PresetSaved { preset: preset() },
        Action::PresetForgotten { preset: preset() },
        Action::TimerAdded { timer: timer() },
        Action::TimerCancelled { timer: timer() },
        Action::SettingsChanged { light: None },
        Action::SettingsChanged {
            light: Some(light()),
        },
        Action::Restored,
        Action::Said {
            text: "Olá".into()
        },
        Action::More { count: 7 },
    ];
    for action in &actions {
        match action {
            // A new action belongs here and above.
            Action::Joined | Action::Left | Action::Effect { .. } => {}
            Action::Set { .. } | Action::SetTogether { .. } => {}
            Action::Flashed { .. } | Action::Said { .. } | Action::More { .. } => {}
            Action::PresetRecalled { .. }
            | Action::PresetSaved { .. }
            | Action::PresetForgotten { .. } => {}
            Action::TimerAdded { .. } | Action::TimerCancelled { .. } | Action::Restored => {}
            Action::SettingsChanged { .. } => {}
        }
    }
    let entries = actions.into_iter();
    let mut entries: Vec<_> = entries.map(|action| Entry::new(ana(), action)).collect();
    let set = entries[2].action.clone();
    entries.extend(actors().map(|actor| Entry::new(actor, set.clone())));
    entries
}

/// Every message of the service, by the field that tells it from the others.
pub fn server_messages() -> BTreeMap<&'static str, Vec<Value>> {
    let lights = lights();
    let states = lights.states();
    let [still, busy] = &states[..] else {
        panic!("there are two lights");
    };
    let remote = |effect| RemoteState {
        title: "Attic: led".into(),
        level: Level::HALF,
        effect,
        online: true,
    };
    let (dark, candle) = (remote(None), remote(Some(EffectKind::Candle)));
    let gone = RemoteUpdate::Gone {
        light: "attic/led",
        gone: true,
    };
    let (timers, entries) = (timers(), entries());
    let echo: Box<RawValue> = serde_json::from_str("1").unwrap();
    let fault = |message| ServerMessage::Fault {
        fault: FaultUpdate {
            light: "led",
            message,
        },
    };
    let error = |seq| ServerMessage::Error {
        error: "level must be from 0 to 100, not 150".into(),
        seq,
    };
    let fleet = |fleet, seen| ServerMessage::Fleet { fleet, seen };
    let together = |seen| ServerMessage::Lights {
        lights: vec![
            LightUpdate::new("led", busy, None),
            LightUpdate::new("shelf", still, None),
        ],
        seen,
    };
    let describe = |id| LightDescription::new(lights.light(id), &states[id.index()]);
    let messages = [
        ServerMessage::Hello {
            hello: Hello {
                version: "0.0.0",
                client: 1,
                session: true,
                matter: true,
                title: Some("Attic".into()),
                lights: lights.ids().map(describe).collect(),
            },
        },
        ServerMessage::Light(LightUpdate::new("shelf", still, None)),
        ServerMessage::Light(LightUpdate::new("led", busy, Some(17))),
        together(Some(17)),
        together(None),
        fleet(vec![RemoteUpdate::new("attic/led", &dark)], None),
        fleet(vec![RemoteUpdate::new("attic/led", &candle)], Some(17)),
        fleet(vec![gone], None),
        ServerMessage::Described {
            described: describe(LightId::FIRST),
        },
        ServerMessage::Title {
            title: Some("Attic"),
        },
        ServerMessage::Presets {
            presets: vec!["Evening", "Film"],
        },
        ServerMessage::Here { here: vec!["Ana"] },
        ServerMessage::Clients { clients: 3 },
        fault(Some("write failed")),
        fault(None),
        ServerMessage::Selected { selected: "led" },
        error(None),
        error(Some(17)),
        ServerMessage::Echo { echo: &echo },
    ];
    let timers = timers.iter().map(|timer| ServerMessage::Timers {
        timers: vec![timer.into()],
    });
    let activity = entries.iter().map(|entry| ServerMessage::Activity {
        activity: vec![entry.into()],
    });
    let mut samples: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for message in messages.into_iter().chain(timers).chain(activity) {
        samples
            .entry(key(&message))
            .or_default()
            .push(json(message));
    }
    samples
}

/// The field that tells a message from the others.
fn key(message: &ServerMessage) -> &'static str {
    match message {
        ServerMessage::Hello { .. } => "hello",
        ServerMessage::Light(_) => "light",
        ServerMessage::Lights { .. } => "lights",
        ServerMessage::Fleet { .. } => "fleet",
        ServerMessage::Described { .. } => "described",
        ServerMessage::Title { .. } => "title",
        ServerMessage::Presets { .. } => "presets",
        ServerMessage::Timers { .. } => "timers",
        ServerMessage::Here { .. } => "here",
        ServerMessage::Activity { .. } => "activity",
        ServerMessage::Clients { .. } => "pages",
        ServerMessage::Fault { .. } => "fault",
        ServerMessage::Selected { .. } => "selected",
        ServerMessage::Error { .. } => "error",
        ServerMessage::Echo { .. } => "echo",
    }
}
