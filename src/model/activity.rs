//! The audit trail: who is connected, and who did what.
//!
//! An action is published once it has settled, so that a drag is one entry. Clients are updated at most
//! once a second, whatever others do.

mod entry;
mod pending;
mod quota;

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::info;

pub use entry::{Action, Entry, MAX_ENTRIES};

use super::actor::Actor;
use super::text::{Name, Remark};
use pending::{MAX_SETTLE, Pending};
use quota::Allowance;

/// Remarks that a client may make at once, and within [`MINUTE`].
const MAX_REMARKS: u32 = 10;
const MINUTE: Duration = Duration::from_secs(60);

/// Why a remark is not published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RemarkError {
    /// The settings say so.
    #[error("say is off: the settings have activity = false")]
    Off,
    /// The client has made ten remarks within a minute.
    #[error("say must come at most {MAX_REMARKS} times a minute from a client")]
    TooMany,
    /// The clients of its address have made too many, those that are gone included.
    #[error("say must come at most 30 times a minute from the clients of an address")]
    TooManyFromAddress,
}

/// The published part of the activity: one watched value, like the lights.
#[derive(Default)]
pub struct ActivityFeed {
    /// The names of the connected clients, each once, sorted; at most [`MAX_ENTRIES`].
    pub here: Arc<[Arc<str>]>,
    /// The number of entries so far.
    pub count: u64,
    /// At most [`MAX_ENTRIES`] of them, each with its number, counted from 1.
    log: VecDeque<(u64, Entry)>,
}

impl ActivityFeed {
    /// The kept entries after the first `seen` of all entries so far, the newest last.
    pub fn since(&self, seen: u64) -> impl Iterator<Item = &Entry> {
        let old = self.log.partition_point(|(number, _)| *number <= seen);
        self.log.range(old..).map(|(_, entry)| entry)
    }

    /// Adds an entry. If there are too many then, the source with the most loses its oldest.
    fn push(&mut self, entry: Entry) {
        self.count += 1;
        self.log.push_back((self.count, entry));
        if self.log.len() > MAX_ENTRIES {
            let sources = self.log.iter().map(|(_, entry)| entry.actor.source());
            let mut counts = HashMap::new();
            for source in sources.clone() {
                *counts.entry(source).or_insert(0) += 1;
            }
            let most = counts.values().max().copied();
            let oldest = sources.map(|source| counts.get(&source).copied());
            if let Some(oldest) = oldest.into_iter().position(|count| count == most) {
                self.log.remove(oldest);
            }
        }
    }
}

/// Records who is connected and who did what, in memory only.
pub struct Activity {
    enabled: bool,
    feed: watch::Sender<ActivityFeed>,
    pending: Mutex<Pending>,
    /// Wakes [`Activity::run`] when an entry is due earlier than those it knows of.
    due_earlier: Notify,
}

impl Activity {
    /// `enabled`: whether anything is recorded at all.
    pub fn new(enabled: bool) -> Arc<Activity> {
        Arc::new(Activity {
            enabled,
            feed: watch::Sender::default(),
            pending: Mutex::default(),
            due_earlier: Notify::new(),
        })
    }

    /// The published part now. Nothing is published while this is held.
    pub fn feed(&self) -> watch::Ref<'_, ActivityFeed> {
        self.feed.borrow()
    }

    /// Follows the published part.
    pub fn watch(&self) -> watch::Receiver<ActivityFeed> {
        self.feed.subscribe()
    }

    /// Records an action. It is published once nothing has replaced it for two seconds.
    pub(super) fn record(&self, actor: &Actor, action: Action) {
        if !self.enabled {
            return;
        }
        let mut pending = self.pending();
        let first = pending.entries.is_empty();
        let settle = pending.record(Entry::new(actor.clone(), action));
        // Otherwise an earlier entry is due no later than this one.
        if first || settle.is_zero() {
            self.due_earlier.notify_one();
        }
    }

    /// Adds a client that has just connected, without a name yet.
    pub fn join(self: &Arc<Activity>, number: u64, address: IpAddr) -> Participant {
        Participant {
            activity: self.clone(),
            number,
            address,
            name: None,
            remarks: Allowance::new(Instant::now(), MAX_REMARKS, MINUTE / MAX_REMARKS),
        }
    }

    /// Publishes what has settled, until `stop` is cancelled; then everything else.
    pub async fn run(self: Arc<Activity>, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let due = self.publish(Instant::now());
            tokio::select! {
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
                () = self.due_earlier.notified() => {}
                () = stop.cancelled() => {}
            }
        }
        self.publish(Instant::now() + MAX_SETTLE);
    }

    /// Publishes what has settled, unless the clients were updated just before. Returns when the next
    /// update is due.
    fn publish(&self, now: Instant) -> Option<Instant> {
        let mut pending = self.pending();
        if pending.due(now)? <= now {
            let settled = pending.take_settled(now);
            let here = pending.take_here();
            for entry in &settled {
                info!("{entry}");
            }
            self.feed.send_modify(|feed| {
                feed.here = here.unwrap_or_else(|| feed.here.clone());
                for entry in settled {
                    feed.push(entry);
                }
            });
            pending.last = Some(now);
        }
        pending.due(now)
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connected client in the audit trail. Dropping it records that the client has disconnected.
pub struct Participant {
    activity: Arc<Activity>,
    number: u64,
    address: IpAddr,
    name: Option<Arc<str>>,
    remarks: Allowance,
}

impl Participant {
    /// The client as the one who causes a change.
    pub fn actor(&self) -> Actor {
        Actor::Client {
            number: self.number,
            address: self.address,
            name: self.name.clone(),
        }
    }

    /// Gives the client another name.
    pub fn rename(&mut self, name: Name) {
        let name = Arc::from(name);
        if self.name.as_ref() != Some(&name) {
            self.name = Some(name);
            self.record_name(self.name.clone());
        }
    }

    /// Publishes a remark to all clients.
    ///
    /// # Errors
    /// [`RemarkError`].
    pub fn say(&mut self, remark: Remark) -> Result<(), RemarkError> {
        if !self.activity.enabled {
            return Err(RemarkError::Off);
        }
        let now = Instant::now();
        if !self.remarks.take(now) {
            return Err(RemarkError::TooMany);
        }
        let mut pending = self.activity.pending();
        let quota = pending.quotas.of(self.actor().source(), now);
        if !quota.remarks.take(now) {
            return Err(RemarkError::TooManyFromAddress);
        }
        drop(pending);
        let text = remark.into();
        self.activity.record(&self.actor(), Action::Said { text });
        Ok(())
    }

    fn record_name(&self, name: Option<Arc<str>>) {
        if self.activity.enabled {
            let mut pending = self.activity.pending();
            pending.rename(self.number, self.address, name);
            self.activity.due_earlier.notify_one();
        }
    }
}

impl Drop for Participant {
    fn drop(&mut self) {
        if self.name.is_some() {
            self.record_name(None);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::time::advance;

    use super::pending::{MAX_PENDING, SETTLE, THROTTLE};
    use super::*;
    use crate::model::effect::EffectKind;
    use crate::model::level::Level;

    const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 168, 1, 7));

    fn set(light: &str, percent: u32) -> Action {
        Action::Set {
            light: light.into(),
            level: Level::from_percent(percent.into()).unwrap(),
        }
    }

    fn record(client: &Participant, action: Action) {
        client.activity.record(&client.actor(), action);
    }

    /// Lets this time pass, and publishes what has settled by then.
    async fn after(time: Duration, activity: &Activity) -> Option<Instant> {
        advance(time).await;
        activity.publish(Instant::now())
    }

    /// The published entries after the first `seen`, as in the log.
    fn published(activity: &Activity, seen: u64) -> Vec<String> {
        let feed = activity.feed();
        feed.since(seen).map(Entry::to_string).collect()
    }

    fn here(activity: &Activity) -> Vec<String> {
        let here = &activity.feed().here;
        here.iter().map(|name| name.to_string()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_drag_is_one_entry_per_client_and_light_once_it_settles() {
        let activity = Activity::new(true);
        let mut ana = activity.join(1, ADDRESS);
        ana.rename(Name::new("Ana").unwrap());
        let other = activity.join(2, ADDRESS);
        after(SETTLE, &activity).await;
        for level in 0..100 {
            record(&ana, set("desk", level));
            record(&other, set("desk", 100 - level));
            after(SETTLE / 100, &activity).await;
        }
        record(&ana, set("shelf", 7));
        assert_eq!(published(&activity, 0).len(), 1, "only that Ana joined");
        after(SETTLE, &activity).await;
        assert_eq!(
            published(&activity, 1),
            [
                "Ana (192.168.1.7) set desk to 99",
                "a client (192.168.1.7) set desk to 1",
                "Ana (192.168.1.7) set shelf to 7",
            ]
        );
        assert_eq!(
            activity.publish(Instant::now()),
            None,
            "nothing is left to do"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn lights_that_are_set_together_are_one_entry_that_hides_none_of_them() {
        let activity = Activity::new(true);
        let ana = activity.join(1, ADDRESS);
        let together = |actions: Vec<Action>| {
            for action in Action::together(actions) {
                record(&ana, action);
            }
        };
        together(vec![set("desk", 9), set("led", 1), set("shelf", 5)]);
        // Not each of them moves at each step of a drag.
        together(vec![set("led", 2), set("desk", 10)]);
        together(vec![set("door", 3)]);
        let candle = Action::Effect {
            light: "lamp".into(),
            effect: Some(EffectKind::Candle),
        };
        together(vec![set("led", 4), candle, set("desk", 8)]);
        after(SETTLE, &activity).await;
        assert_eq!(
            published(&activity, 0),
            [
                "a client (192.168.1.7) set door to 3",
                "a client (192.168.1.7) set desk to 8, led to 4, shelf to 5",
                "a client (192.168.1.7) started candle on lamp",
            ]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_changes_its_name_stays_the_same_actor() {
        let activity = Activity::new(true);
        let mut client = activity.join(1, ADDRESS);
        for level in 0..10 {
            client.rename(Name::new(&level.to_string()).unwrap());
            record(&client, set("desk", level));
        }
        after(SETTLE, &activity).await;
        assert_eq!(
            published(&activity, 0),
            ["9 (192.168.1.7) joined", "9 (192.168.1.7) set desk to 9"]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_flash_does_not_hide_the_level_that_was_set_just_before() {
        let activity = Activity::new(true);
        activity.record(&Actor::Mqtt, set("desk", 7));
        let light = "desk".into();
        activity.record(&Actor::Mqtt, Action::Flashed { light });
        after(SETTLE, &activity).await;
        assert_eq!(
            published(&activity, 0),
            ["MQTT set desk to 7", "MQTT flashed desk"]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_that_never_settles_is_published_once_a_minute() {
        let activity = Activity::new(true);
        for second in 0..=60 {
            activity.record(&Actor::Api(ADDRESS), set("desk", second));
            after(THROTTLE, &activity).await;
        }
        let entry = "the API (192.168.1.7) set desk to 59";
        assert_eq!(published(&activity, 0), [entry]);
    }

    #[tokio::test(start_paused = true)]
    async fn connected_names_are_published_at_once_and_then_once_a_second() {
        let activity = Activity::new(true);
        let mut clients: Vec<_> = (0..3)
            .map(|number| activity.join(number, ADDRESS))
            .collect();
        clients[0].rename(Name::new("Bia").unwrap());
        assert_eq!(
            activity.publish(Instant::now()),
            Some(Instant::now() + SETTLE),
            "when her joining has settled"
        );
        assert_eq!(here(&activity), ["Bia"]);
        clients[1].rename(Name::new("Ana").unwrap());
        clients[2].rename(Name::new("Ana").unwrap());
        after(THROTTLE / 2, &activity).await;
        assert_eq!(here(&activity), ["Bia"]);
        after(THROTTLE / 2, &activity).await;
        assert_eq!(here(&activity), ["Ana", "Bia"]);

        clients.remove(1);
        clients.remove(0);
        after(SETTLE, &activity).await;
        assert_eq!(here(&activity), ["Ana"]);
        // Bia was not here for long enough, and the other Ana still is.
        let joined = "Ana (192.168.1.7) joined";
        assert_eq!(published(&activity, 0), [joined]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_reconnects_at_once_never_left() {
        let activity = Activity::new(true);
        let mut ana = activity.join(1, ADDRESS);
        ana.rename(Name::new("Ana").unwrap());
        after(SETTLE, &activity).await;
        drop(ana);
        let mut again = activity.join(2, ADDRESS);
        again.rename(Name::new("Ana").unwrap());
        after(SETTLE, &activity).await;
        assert_eq!(published(&activity, 1), [""; 0]);
        again.rename(Name::new("Eva").unwrap());
        after(SETTLE, &activity).await;
        assert_eq!(
            published(&activity, 1),
            ["Ana (192.168.1.7) left", "Eva (192.168.1.7) joined"]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_100_entries_and_names_are_kept() {
        let activity = Activity::new(true);
        let mut clients = Vec::new();
        for number in 0..150 {
            let mut client = activity.join(number, ADDRESS);
            let text = format!("{number:03}");
            client.rename(Name::new(&text).unwrap());
            record(&client, Action::Said { text });
            clients.push(client);
        }
        after(Duration::ZERO, &activity).await;
        for (seen, first) in [(0, "050"), (80, "080"), (149, "149")] {
            let said = format!("{first} (192.168.1.7) said: {first}");
            assert_eq!(published(&activity, seen)[0], said, "{seen}");
        }
        assert_eq!(published(&activity, 150), [""; 0]);
        assert_eq!(here(&activity).last().unwrap(), "099");
        after(SETTLE, &activity).await;
        assert_eq!(published(&activity, 0).len(), MAX_ENTRIES);
        assert_eq!(activity.feed().count, 300);
    }

    #[test]
    fn clients_that_come_and_go_by_the_thousand_do_not_fill_the_memory() {
        let activity = Activity::new(true);
        for number in 0..3000 {
            record(&activity.join(number, ADDRESS), set("desk", 1));
        }
        let pending = activity.pending();
        assert_eq!(pending.entries.len(), MAX_PENDING);
        let oldest = pending.entries.values().map(|pending| pending.number).min();
        assert_eq!(oldest, Some(2001), "the newest are kept");
    }

    /// A client at another address, with this name.
    fn other(activity: &Arc<Activity>, number: u64, name: &str) -> Participant {
        let mut client = activity.join(number, Ipv4Addr::new(192, 168, 1, 8).into());
        client.rename(Name::new(name).unwrap());
        client
    }

    #[tokio::test(start_paused = true)]
    async fn the_noise_of_one_address_pushes_out_no_entry_of_another() {
        let activity = Activity::new(true);
        let eva = other(&activity, 0, "Eva");
        after(SETTLE, &activity).await;
        let mut noisy = 0;
        for level in 1..=20 {
            // Each connection is a new one, and changes lights without end.
            for _ in 0..500 {
                noisy += 1;
                let client = activity.join(noisy, ADDRESS);
                record(&client, set("desk", 1));
            }
            record(&eva, set("desk", level));
            after(SETTLE, &activity).await;
        }
        let kept = published(&activity, 0);
        assert_eq!(kept.len(), MAX_ENTRIES);
        let of_eva = kept.iter().filter(|line| line.starts_with("Eva"));
        assert_eq!(of_eva.count(), 21, "one of them that she joined");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_beyond_the_quota_of_an_address_is_counted_once_a_minute() {
        let activity = Activity::new(true);
        let sent = 1000;
        for number in 0..sent {
            record(&activity.join(number, ADDRESS), set("desk", 1));
        }
        after(SETTLE, &activity).await;
        let of_noise = activity.feed().count;
        assert_eq!(of_noise, 300);
        let due = after(Duration::ZERO, &activity).await.unwrap();
        after(due - Instant::now(), &activity).await;
        let count = sent - of_noise;
        let line = format!("a client (192.168.1.7) did {count} more things");
        assert_eq!(published(&activity, of_noise), [line]);
        assert_eq!(after(Duration::ZERO, &activity).await, None, "idle again");
        // One more each second.
        let recorded = activity.join(5000, ADDRESS);
        record(&recorded, set("desk", 2));
        after(SETTLE, &activity).await;
        assert_eq!(activity.feed().count, of_noise + 2);
    }

    #[tokio::test(start_paused = true)]
    async fn who_connects_again_may_not_say_more() {
        let activity = Activity::new(true);
        let mut said = 0;
        let mut refused = None;
        for number in 0..1000 {
            let mut client = activity.join(number, ADDRESS);
            match client.say(Remark::new("hi").unwrap()) {
                Ok(()) => said += 1,
                Err(error) => refused = Some(error),
            }
        }
        assert_eq!(said, 120);
        assert_eq!(refused, Some(RemarkError::TooManyFromAddress));
        let mut eva = other(&activity, 1000, "Eva");
        assert_eq!(eva.say(Remark::new("hi").unwrap()), Ok(()));
        advance(MINUTE / 30).await;
        let mut again = activity.join(1001, ADDRESS);
        assert_eq!(again.say(Remark::new("hi").unwrap()), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn ten_remarks_are_accepted_at_once_and_one_more_every_six_seconds() {
        let activity = Activity::new(true);
        let mut client = activity.join(1, ADDRESS);
        for _ in 0..MAX_REMARKS {
            client.say(Remark::new("hi").unwrap()).unwrap();
        }
        assert_eq!(
            client.say(Remark::new("hi").unwrap()),
            Err(RemarkError::TooMany)
        );
        advance(MINUTE / MAX_REMARKS).await;
        client.say(Remark::new("hi").unwrap()).unwrap();
        assert_eq!(
            client.say(Remark::new("hi").unwrap()),
            Err(RemarkError::TooMany)
        );
        let mut other = activity.join(2, ADDRESS);
        other.say(Remark::new("hi").unwrap()).unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn without_activity_nothing_is_kept() {
        let activity = Activity::new(false);
        let mut client = activity.join(1, ADDRESS);
        client.rename(Name::new("Ana").unwrap());
        record(&client, set("desk", 1));
        assert_eq!(
            client.say(Remark::new("hi").unwrap()),
            Err(RemarkError::Off)
        );
        assert_eq!(after(SETTLE, &activity).await, None);
        assert_eq!(activity.feed().count, 0);
    }

    #[test]
    fn the_log_names_the_actor_its_address_and_the_action() {
        let (light, preset) = (String::from("desk"), String::from("Film"));
        let effect = Some(EffectKind::Blink);
        let client = |name: Option<&str>| Actor::Client {
            number: 1,
            address: ADDRESS,
            name: name.map(Arc::from),
        };
        let ana = client(Some("Ana's phone"));
        let text = "keep it low".into();
        for (actor, action, line) in [
            (
                ana,
                set("desk", 40),
                "Ana's phone (192.168.1.7) set desk to 40",
            ),
            (
                client(None),
                Action::Said { text },
                "a client (192.168.1.7) said: keep it low",
            ),
            (
                Actor::Api(ADDRESS),
                Action::Effect { light, effect },
                "the API (192.168.1.7) started blink on desk",
            ),
            (
                Actor::Mqtt,
                Action::PresetRecalled { preset },
                "MQTT recalled Film",
            ),
        ] {
            assert_eq!(Entry::new(actor, action).to_string(), line);
        }
    }
}
