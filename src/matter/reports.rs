//! Tells subscribers what has changed, and does what is due at a time.

use std::time::Duration;

use rs_matter::dm::clusters::decl::{
    bridged_device_basic_information as bridged_info, descriptor, identify, level_control, on_off,
};
use rs_matter::dm::endpoints::ROOT_ENDPOINT_ID;
use rs_matter::dm::{AttrChangeNotifier, AttrId, ClusterId, EndptId};
use tokio::time::{Instant, sleep_until};
use tracing::debug;

use super::bridge::{MatterBridge, seen};
use super::bridged_info::label;
use super::endpoints::AGGREGATOR;
use super::level::to_matter;
use crate::model::actor::Actor;
use crate::model::command::{Command, Target};
use crate::model::lights::{Change, LightId};

/// Shortest time between two reports, so that a drag causes ten a second.
const INTERVAL: Duration = Duration::from_millis(100);
/// Time between two reports of a level that is on its way.
const ON_ITS_WAY: Duration = Duration::from_secs(1);

/// What a controller is told of a light.
#[derive(Debug, Clone, PartialEq)]
struct Told {
    is_on: bool,
    level: u8,
    /// When the level is reached.
    arrives: Option<Instant>,
    identifies: bool,
    has_off_time: bool,
    on_start: serde_json::Value,
    is_reachable: bool,
    label: String,
}

impl Told {
    fn of(bridge: &MatterBridge, light: LightId) -> Told {
        let state = bridge.state(light);
        let title = bridge.hub.lights.light(light).title(&state.settings);
        let remaining = state.remaining();
        bridge.passing(light, |passing| Told {
            is_on: !state.level.is_off(),
            level: to_matter(seen(&state, passing)),
            arrives: remaining.and_then(|_| state.arrives()),
            identifies: passing.identifies.is_some(),
            has_off_time: passing.timed_off.is_some(),
            on_start: state.settings.on_start.into(),
            is_reachable: state.fault.is_none(),
            label: label(title).into(),
        })
    }

    /// The attributes that differ from what was told before.
    fn differences(&self, before: &Told) -> Vec<(ClusterId, AttrId)> {
        let on_off = |attribute: on_off::AttributeId| (on_off::FULL_CLUSTER.id, attribute as _);
        let level = |attribute: level_control::AttributeId| {
            (level_control::FULL_CLUSTER.id, attribute as _)
        };
        let info =
            |attribute: bridged_info::AttributeId| (bridged_info::FULL_CLUSTER.id, attribute as _);
        let identify_time = identify::AttributeId::IdentifyTime;
        let differences = [
            (
                self.is_on != before.is_on,
                on_off(on_off::AttributeId::OnOff),
            ),
            (
                self.level != before.level,
                level(level_control::AttributeId::CurrentLevel),
            ),
            (
                self.arrives != before.arrives,
                level(level_control::AttributeId::RemainingTime),
            ),
            (
                self.identifies != before.identifies,
                (identify::FULL_CLUSTER.id, identify_time as _),
            ),
            (
                self.has_off_time != before.has_off_time,
                on_off(on_off::AttributeId::OnTime),
            ),
            (
                self.on_start != before.on_start,
                on_off(on_off::AttributeId::StartUpOnOff),
            ),
            (
                self.on_start != before.on_start,
                level(level_control::AttributeId::StartUpCurrentLevel),
            ),
            (
                self.is_reachable != before.is_reachable,
                info(bridged_info::AttributeId::Reachable),
            ),
            (
                self.label != before.label,
                info(bridged_info::AttributeId::NodeLabel),
            ),
        ];
        let differ = differences.into_iter().filter(|(differs, _)| *differs);
        differ.map(|(_, attribute)| attribute).collect()
    }
}

/// Reports each change within [`INTERVAL`], and the last one always; never returns.
pub async fn run(bridge: &MatterBridge, subscribers: &impl AttrChangeNotifier) {
    let mut states = bridge.hub.lights.watch();
    let mut told = all(bridge);
    loop {
        let next = next_due(bridge);
        let due = async {
            match next {
                Some(next) => sleep_until(next).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = states.changed() => if changed.is_err() { return std::future::pending().await },
            () = bridge.wake.notified() => {}
            () = due => {}
        }
        do_what_is_due(bridge);
        let now = all(bridge);
        report(&told, &now, subscribers);
        told = now;
        sleep_until(Instant::now() + INTERVAL).await;
    }
}

fn all(bridge: &MatterBridge) -> Vec<(EndptId, Told)> {
    let shown = bridge.endpoints.shown().into_iter();
    shown
        .map(|(endpoint, light)| (endpoint, Told::of(bridge, light)))
        .collect()
}

fn report(
    before: &[(EndptId, Told)],
    now: &[(EndptId, Told)],
    subscribers: &impl AttrChangeNotifier,
) {
    let endpoints = |told: &[(EndptId, Told)]| {
        told.iter()
            .map(|(endpoint, _)| *endpoint)
            .collect::<Vec<_>>()
    };
    if endpoints(before) != endpoints(now) {
        for lists in [ROOT_ENDPOINT_ID, AGGREGATOR] {
            let parts = descriptor::AttributeId::PartsList as _;
            subscribers.notify_attr_changed(lists, descriptor::FULL_CLUSTER.id, parts);
        }
    }
    for (endpoint, told) in now {
        match before.iter().find(|(other, _)| other == endpoint) {
            Some((_, before)) => {
                for (cluster, attribute) in told.differences(before) {
                    subscribers.notify_attr_changed(*endpoint, cluster, attribute);
                }
            }
            None => subscribers.notify_endpoint_changed(*endpoint),
        }
    }
}

/// When something is to be done or reported that nothing wakes for.
fn next_due(bridge: &MatterBridge) -> Option<Instant> {
    let now = Instant::now();
    let due = bridge.hub.lights.ids().flat_map(|light| {
        let state = bridge.state(light);
        let on_its_way = state.remaining().and_then(|_| state.arrives());
        let on_its_way = on_its_way.map(|arrives| arrives.min(now + ON_ITS_WAY));
        bridge.passing(light, |passing| {
            let identifies = passing.identifies.as_ref().map(|(until, _)| *until);
            let timed_off = passing.timed_off.map(|(until, _)| until);
            [on_its_way, identifies, timed_off]
        })
    });
    due.flatten().min()
}

fn do_what_is_due(bridge: &MatterBridge) {
    let now = Instant::now();
    for light in bridge.hub.lights.ids() {
        let revision = bridge.state(light).revision;
        let (flash, off) = bridge.passing(light, |passing| {
            let ended = passing
                .identifies
                .take_if(|(until, flash)| *until <= now || !flash.is_of(revision));
            let off = passing
                .timed_off
                .take_if(|(until, at)| *until <= now || *at != revision);
            let is_due = off.is_some_and(|(_, at)| at == revision);
            (ended.map(|(_, flash)| flash), is_due)
        });
        let off = off.then_some(Command::Change {
            target: Target::Own(light),
            change: Change::On(false),
            transition: None,
        });
        for command in flash.map(Command::EndFlash).into_iter().chain(off) {
            if let Err(error) = bridge.hub.execute(&Actor::Matter(None), command) {
                debug!("matter: {error}");
            }
        }
    }
}

/// Ends whatever is going on, as nobody will when its time has come.
pub fn end_all(bridge: &MatterBridge) {
    for light in bridge.hub.lights.ids() {
        bridge.passing(light, |passing| {
            if let Some((until, _)) = &mut passing.identifies {
                *until = Instant::now();
            }
            passing.timed_off = None;
        });
    }
    do_what_is_due(bridge);
}
