//! What a client shows, and the frames that bring it up to date: [`ClientView`].
//!
//! A client shows what it last set or was last sent. An update is due where the newest state differs from
//! that. This one rule keeps a client from being sent its own changes, and covers everything else: the
//! changes of others, steps, rounding, refusals, being overruled. As only the newest state is ever
//! compared, a slow client costs no memory.

use std::sync::Arc;

use tokio::time::Instant;
use tokio_tungstenite::tungstenite::protocol::frame::FrameHeader;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use super::fleet_view::FleetView;
use crate::model::activity::ActivityFeed;
use crate::model::command::{Outcome, Target};
use crate::model::effect::Effect;
use crate::model::hub::Hub;
use crate::model::level::Level;
use crate::model::lights::{Light, LightState};
use crate::model::presets::PresetsByName;
use crate::model::settings::{LightSettings, SetHere};
use crate::model::timers::Timer;
use crate::protocol::resource::{self, LightDescription};
use crate::protocol::server_message::{FaultUpdate, LightUpdate, ServerMessage};
use crate::web::limiter::ConnectionLimiter;

/// The watched values that clients are sent updates about.
pub struct Sources {
    pub hub: Arc<Hub>,
    /// The connected clients.
    pub clients: Arc<ConnectionLimiter>,
}

/// What a client shows, as far as the service knows.
pub struct ClientView {
    /// The last `seq` of the client, once it has sent one.
    pub seen: Option<u64>,
    /// Whether the client wants to be sent its own changes, too.
    pub wants_own: bool,
    /// Whether the client wants to be sent several lights in one message.
    pub wants_batch: bool,
    /// The lights of other dimmers.
    fleet: FleetView,
    /// Whether something is unsent or not current. While this is set, only the client's own task writes to it.
    pub lagging: bool,
    lights: Vec<LightView>,
    /// Those that the dimmer's name for people was in.
    settings: Arc<SetHere>,
    presets: Arc<PresetsByName>,
    timers: Arc<Vec<Timer>>,
    here: Arc<[Arc<str>]>,
    /// The number of entries of the activity that it has been sent.
    entries: u64,
    clients: usize,
}

#[derive(Clone, Default)]
struct LightView {
    /// `None`: unknown, so an update is due.
    state: Option<ShownState>,
    fault: Option<Arc<str>>,
    /// Those that its description came from.
    settings: Arc<LightSettings>,
}

/// The part of a light's state that a client shows.
#[derive(Clone, Copy, PartialEq)]
struct ShownState {
    level: Level,
    effect: Option<Effect>,
    arrives: Option<Instant>,
}

impl LightView {
    fn shows(&self, state: &LightState) -> bool {
        self.state == Some(ShownState::from(state))
    }

    /// Marks the state as shown, and returns whether it was not.
    fn show(&mut self, state: &LightState) -> bool {
        let is_due = !self.shows(state);
        self.state = Some(ShownState::from(state));
        is_due
    }
}

impl From<&LightState> for ShownState {
    fn from(state: &LightState) -> ShownState {
        ShownState {
            level: state.level,
            effect: state.effect,
            arrives: state.arrives(),
        }
    }
}

impl ClientView {
    /// The view of a client that has been sent nothing yet. Its hello, which is made after this, describes the lights.
    pub fn new(hub: &Hub) -> ClientView {
        let states = hub.lights.states().clone();
        let lights = states.into_iter().map(|state| LightView {
            settings: state.settings,
            ..LightView::default()
        });
        ClientView {
            seen: None,
            wants_own: false,
            wants_batch: false,
            fleet: FleetView::default(),
            lagging: true,
            lights: lights.collect(),
            settings: hub.settings.here(),
            presets: Arc::default(),
            timers: Arc::default(),
            here: Arc::default(),
            entries: 0,
            clients: 0,
        }
    }

    /// Marks what the client shows of a light as unknown, so that an update is due.
    pub fn forget(&mut self, target: &Target) {
        match target {
            Target::Own(light) => self.lights[light.index()].state = None,
            Target::Remote(name) => self.fleet.set(name, None),
        }
    }

    /// Marks the outcome of the client's own change as shown, unless the client wants to be sent it.
    pub fn show(&mut self, target: Target, outcome: Outcome) {
        match (target, outcome) {
            _ if self.wants_own => {}
            (Target::Own(light), Outcome::Light(state)) => {
                self.lights[light.index()].state = Some(ShownState::from(&state));
            }
            (Target::Remote(name), Outcome::Remote(state)) => self.fleet.set(&name, Some(state)),
            _ => {}
        }
    }

    /// Appends a frame for each thing that the client does not show yet, and marks it as shown.
    pub fn updates(&mut self, sources: &Sources, cache: &mut FrameCache, out: &mut Vec<u8>) {
        let hub = &sources.hub;
        self.light_updates(hub, cache, out);
        let fleet = self.fleet.updates(&hub.fleet, self.seen);
        fleet.inspect(|update| frame(update, out));
        let settings = hub.settings.here();
        if !Arc::ptr_eq(&self.settings, &settings) {
            let is_of_house = self.settings.house != settings.house;
            self.settings = settings;
            if is_of_house {
                let title = hub.settings.house().title;
                let message = ServerMessage::Title {
                    title: title.as_deref(),
                };
                frame(&message.to_json(), out);
            }
        }
        let presets = hub.presets.all();
        if !Arc::ptr_eq(&self.presets, &presets) && !self.presets.keys().eq(presets.keys()) {
            let presets = presets.keys().map(String::as_str).collect();
            frame(&ServerMessage::Presets { presets }.to_json(), out);
        }
        self.presets = presets;
        let timers = hub.timers.all();
        if !Arc::ptr_eq(&self.timers, &timers) && self.timers != timers {
            let timers = resource::timers(&timers);
            frame(&ServerMessage::Timers { timers }.to_json(), out);
        }
        self.timers = timers;
        let feed = hub.activity.feed();
        if !Arc::ptr_eq(&self.here, &feed.here) {
            if self.here != feed.here {
                let here = feed.here.iter().map(|name| &**name).collect();
                frame(&ServerMessage::Here { here }.to_json(), out);
            }
            self.here = feed.here.clone();
        }
        if self.entries != feed.count {
            out.extend(cache.activity(self.entries, &feed));
            self.entries = feed.count;
        }
        drop(feed);
        let clients = sources.clients.count();
        if self.clients != clients {
            self.clients = clients;
            frame(&ServerMessage::Clients { clients }.to_json(), out);
        }
    }

    /// Appends one frame for all lights that the client does not show yet, if there are several.
    fn batch(
        &mut self,
        lights: &[Light],
        states: &[LightState],
        cache: &mut FrameCache,
        out: &mut Vec<u8>,
    ) {
        let views = self.lights.iter().zip(states).enumerate();
        let due = views.filter(|(_, (view, state))| !view.shows(state));
        // Before anything is allocated: this is asked for each client after each change.
        if due.clone().nth(1).is_none() {
            return;
        }
        let due: Vec<_> = due
            .map(|(index, (_, state))| (index, state.revision))
            .collect();
        for (index, _) in &due {
            self.lights[*index].show(&states[*index]);
        }
        match self.seen {
            None => out.extend(cache.batch(due, lights, states)),
            seen => frame(&batch(&due, lights, states, seen), out),
        }
    }

    /// Appends a frame for each light whose settings were changed. Its state follows: a page does not keep that of a light
    /// that was hidden.
    fn describe(&mut self, lights: &[Light], states: &[LightState], out: &mut Vec<u8>) {
        for ((view, light), state) in self.lights.iter_mut().zip(lights).zip(states) {
            if !Arc::ptr_eq(&view.settings, &state.settings) {
                view.settings = state.settings.clone();
                view.state = None;
                let described = LightDescription::new(light, state);
                frame(&ServerMessage::Described { described }.to_json(), out);
            }
        }
    }

    fn light_updates(&mut self, hub: &Hub, cache: &mut FrameCache, out: &mut Vec<u8>) {
        let lights = hub.lights.list();
        let states = hub.lights.states();
        self.describe(lights, &states, out);
        if self.wants_batch {
            self.batch(lights, &states, cache, out);
        }
        for (index, (light, state)) in lights.iter().zip(&*states).enumerate() {
            let view = &mut self.lights[index];
            if view.show(state) {
                match self.seen {
                    None => out.extend(cache.light(index, &light.name, state)),
                    seen => frame(&light_update(&light.name, state, seen), out),
                }
            }
            let message = state.fault.as_ref().map(|fault| &fault.message);
            if view.fault.as_ref() != message {
                view.fault = message.cloned();
                let light = light.name.as_str();
                let message = message.map(|message| &**message);
                let fault = FaultUpdate { light, message };
                frame(&ServerMessage::Fault { fault }.to_json(), out);
            }
        }
    }
}

/// Frames that are the same for many clients, encoded once.
#[derive(Default)]
pub struct FrameCache {
    /// The update about each light and its revision, for clients that have sent no `seq`.
    lights: Vec<(u64, Vec<u8>)>,
    /// The update about several lights, each with its revision, for the same clients.
    batch: (Vec<(usize, u64)>, Vec<u8>),
    /// The update about the activity, from one count of entries to another.
    activity: (u64, u64, Vec<u8>),
}

impl FrameCache {
    fn light(&mut self, index: usize, name: &str, state: &LightState) -> &[u8] {
        if self.lights.len() <= index {
            self.lights.resize_with(index + 1, Default::default);
        }
        let (revision, cached) = &mut self.lights[index];
        if cached.is_empty() || *revision != state.revision {
            *revision = state.revision;
            cached.clear();
            frame(&light_update(name, state, None), cached);
        }
        cached
    }

    fn batch(&mut self, due: Vec<(usize, u64)>, lights: &[Light], states: &[LightState]) -> &[u8] {
        let (of, cached) = &mut self.batch;
        if *of != due {
            cached.clear();
            frame(&batch(&due, lights, states, None), cached);
            *of = due;
        }
        cached
    }

    fn activity(&mut self, seen: u64, feed: &ActivityFeed) -> &[u8] {
        let (from, to, cached) = &mut self.activity;
        if cached.is_empty() || (*from, *to) != (seen, feed.count) {
            (*from, *to) = (seen, feed.count);
            cached.clear();
            let activity = feed.since(seen).map(Into::into).collect();
            frame(&ServerMessage::Activity { activity }.to_json(), cached);
        }
        cached
    }
}

fn light_update(light: &str, state: &LightState, seen: Option<u64>) -> String {
    ServerMessage::Light(LightUpdate::new(light, state, seen)).to_json()
}

/// The update about the lights with these indices.
fn batch(
    due: &[(usize, u64)],
    lights: &[Light],
    states: &[LightState],
    seen: Option<u64>,
) -> String {
    let updates = due
        .iter()
        .map(|(index, _)| LightUpdate::new(&lights[*index].name, &states[*index], None));
    let lights = updates.collect();
    ServerMessage::Lights { lights, seen }.to_json()
}

/// Appends a text frame of the server, which is not masked.
pub fn frame(text: &str, out: &mut Vec<u8>) {
    let header = FrameHeader {
        opcode: OpCode::Data(Data::Text),
        ..FrameHeader::default()
    };
    let length = text.len() as u64;
    header
        .format(length, out)
        .expect("writing to memory cannot fail");
    out.extend(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::actor::Actor;
    use crate::model::command::Command;
    use crate::model::lights::{Change, LightId, Lights};

    /// Lights called a, b and c, at 50.
    fn sources() -> Sources {
        let light = |name| {
            let state = LightState::new(Level::HALF, Level::HALF);
            (Light::simulated(name), state)
        };
        Sources {
            hub: Hub::with(Lights::new(["a", "b", "c"].map(light).into())),
            clients: ConnectionLimiter::new(10, 10),
        }
    }

    fn set(sources: &Sources, light: usize, percent: u8) -> (Target, Outcome) {
        let light = sources.hub.lights.ids().nth(light).unwrap();
        let level = Level::from_percent(percent.into()).unwrap();
        let state = sources.hub.change(light, Change::Level(level));
        (Target::Own(light), Outcome::Light(state))
    }

    /// Asserts that exactly these messages are due.
    fn assert_due(view: &mut ClientView, sources: &Sources, cache: &mut FrameCache, due: &[&str]) {
        let (mut out, mut expected) = (Vec::new(), Vec::new());
        view.updates(sources, cache, &mut out);
        due.iter().for_each(|text| frame(text, &mut expected));
        assert_eq!(
            String::from_utf8_lossy(&out),
            String::from_utf8_lossy(&expected)
        );
    }

    #[test]
    fn several_lights_are_one_message_for_a_client_that_wants_that() {
        let (sources, cache) = (sources(), &mut FrameCache::default());
        let mut old = ClientView::new(&sources.hub);
        let mut new = [ClientView::new(&sources.hub), ClientView::new(&sources.hub)];
        new.iter_mut().for_each(|view| view.wants_batch = true);
        let each = ["a", "b", "c"].map(|name| format!(r#"{{"light":"{name}","level":50}}"#));
        let all = format!(r#"{{"lights":[{}]}}"#, each.join(","));
        let each = each.each_ref().map(String::as_str);
        assert_due(&mut old, &sources, cache, &each);
        for view in &mut new {
            assert_due(view, &sources, cache, &[&all]);
            assert_due(view, &sources, cache, &[]);
        }

        // A single one needs no list.
        set(&sources, 1, 7);
        let [one, two] = &mut new;
        assert_due(one, &sources, cache, &[r#"{"light":"b","level":7}"#]);
        // Who has not been sent that is due more than who has.
        set(&sources, 0, 8);
        assert_due(one, &sources, cache, &[r#"{"light":"a","level":8}"#]);
        let both = r#"{"lights":[{"light":"a","level":8},{"light":"b","level":7}]}"#;
        assert_due(two, &sources, cache, &[both]);
        // The same lights again, at other levels.
        set(&sources, 0, 9);
        set(&sources, 1, 10);
        let both = r#"{"lights":[{"light":"a","level":9},{"light":"b","level":10}]}"#;
        assert_due(two, &sources, cache, &[both]);
        assert_due(one, &sources, cache, &[both]);
    }

    #[test]
    fn a_light_that_is_greeted_is_described_to_all_clients() {
        let mut state = LightState::new(Level::HALF, Level::HALF);
        state.is_new = true;
        let sources = Sources {
            hub: Hub::with(Lights::new(vec![(Light::simulated("a"), state)])),
            clients: ConnectionLimiter::new(10, 10),
        };
        let cache = &mut FrameCache::default();
        let mut views = [ClientView::new(&sources.hub), ClientView::new(&sources.hub)];
        for view in &mut views {
            view.updates(&sources, cache, &mut Vec::new());
        }
        let greet = Command::Greet(LightId::FIRST);
        for due in [true, false] {
            sources.hub.execute(&Actor::Mqtt, greet.clone()).unwrap();
            for view in &mut views {
                let mut out = Vec::new();
                view.updates(&sources, cache, &mut out);
                let out = String::from_utf8_lossy(&out);
                assert_eq!(out.contains(r#"{"described":{"name":"a""#), due, "{out}");
                assert!(!out.contains(r#""new""#), "{out}");
            }
        }
    }

    #[test]
    fn what_a_client_has_set_is_in_no_message_of_several_lights_and_what_it_has_sent_is() {
        let (sources, cache) = (sources(), &mut FrameCache::default());
        let mut view = ClientView::new(&sources.hub);
        view.wants_batch = true;
        view.updates(&sources, cache, &mut Vec::new());
        view.seen = Some(4);
        let (target, outcome) = set(&sources, 2, 1);
        set(&sources, 0, 2);
        set(&sources, 1, 3);
        view.show(target, outcome);
        let others = r#"{"lights":[{"light":"a","level":2},{"light":"b","level":3}],"seen":4}"#;
        assert_due(&mut view, &sources, cache, &[others]);
        view.forget(&Target::Own(LightId::FIRST));
        let again = r#"{"light":"a","level":2,"seen":4}"#;
        assert_due(&mut view, &sources, cache, &[again]);
    }
}
