//! Who is here, and who did what: [`Activity`].
//!
//! What is done is told once it rests, so that a drag is one entry, and all pages are told at most
//! once a second, whatever others do.

mod entry;

use std::collections::hash_map::Entry as Slot;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::info;

pub use entry::{Action, Actor, Entry};

/// How many entries are kept, and how many names told.
pub const MOST: usize = 100;
/// How many entries wait for their rest at most: some for each page that there may be.
const MOST_FRESH: usize = 1000;
/// How long a change rests before it is told: another of the same takes its place meanwhile.
const REST: Duration = Duration::from_secs(2);
/// After this it is told all the same: a change that never rests must not be a way to hide.
const RESTLESS: Duration = Duration::from_secs(60);
/// Pages are told no more often than this.
const PACE: Duration = Duration::from_secs(1);
/// What a page may say at once, and within [`MINUTE`].
const WORDS: u32 = 10;
const MINUTE: Duration = Duration::from_secs(60);

/// Why something is not said to the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The settings say so.
    #[error("say is off: the settings have activity = false")]
    Off,
    /// The page has said ten things within a minute.
    #[error("say must come at most {WORDS} times a minute from a page")]
    TooMuch,
}

/// What pages are told: one watched value, as the lights are.
#[derive(Default)]
pub struct ActivityFeed {
    /// The names of the open pages, each once, in their order; at most [`MOST`].
    pub here: Arc<[Arc<str>]>,
    /// How many entries there have been.
    pub count: u64,
    /// The last of them, at most [`MOST`].
    log: VecDeque<Entry>,
}

impl ActivityFeed {
    /// The kept entries after the first `shown` of all that there have been, the newest last.
    pub fn since(&self, shown: u64) -> impl Iterator<Item = &Entry> {
        let new = self.count.saturating_sub(shown);
        let old = self.log.len().saturating_sub(new as usize);
        self.log.range(old..)
    }
}

/// Who is here and what was done, in memory alone.
pub struct Activity {
    on: bool,
    told: watch::Sender<ActivityFeed>,
    waiting: Mutex<Waiting>,
    /// Wakes [`Activity::follow`] when something is due earlier than it can know.
    earlier: Notify,
}

/// What pages are not told yet.
#[derive(Default)]
struct Waiting {
    /// What each open page calls itself, by its number.
    names: BTreeMap<u64, Arc<str>>,
    names_are_new: bool,
    fresh: HashMap<About, Fresh>,
    /// How many entries there have been.
    noted: u64,
    /// When pages were told last.
    last: Option<Instant>,
}

/// What an entry is about: of two about the same, only the newer is told.
#[derive(PartialEq, Eq, Hash)]
enum About {
    Light(Actor, String),
    Preset(Actor, String),
    Timer(Actor, String),
    /// Who leaves and is back soon was never away.
    Name(Arc<str>),
    /// What is said, by the number of the entry.
    Word(u64),
}

/// An entry that may yet be replaced.
struct Fresh {
    entry: Entry,
    /// Counts up: entries may have the same time.
    number: u64,
    since: Instant,
    rests: Instant,
}

impl Activity {
    /// With nothing done yet; `on`: whether anything is kept and told at all.
    pub fn new(on: bool) -> Arc<Activity> {
        Arc::new(Activity {
            on,
            told: watch::Sender::default(),
            waiting: Mutex::default(),
            earlier: Notify::new(),
        })
    }

    /// What pages are told now. Nobody is told anything else while this is held.
    pub fn told(&self) -> watch::Ref<'_, ActivityFeed> {
        self.told.borrow()
    }

    /// What pages are told, and a way to wait for the next.
    pub fn watch(&self) -> watch::Receiver<ActivityFeed> {
        self.told.subscribe()
    }

    /// Takes note of what was done. It is told when nothing took its place for two seconds.
    pub fn note(&self, who: Actor, what: Action) {
        if !self.on {
            return;
        }
        let mut waiting = self.waiting();
        let alone = waiting.fresh.is_empty();
        let rest = waiting.note(Entry::new(who, what));
        // Else what is told then is told no later than this.
        if alone || rest.is_zero() {
            self.earlier.notify_one();
        }
    }

    /// A page opened, without a name yet.
    pub fn enter(self: &Arc<Activity>, number: u64, address: IpAddr) -> Participant {
        Participant {
            activity: self.clone(),
            number,
            address,
            name: None,
            silent: Instant::now(),
        }
    }

    /// Tells what rests, until `stop` is cancelled; then all that is left.
    pub async fn follow(self: Arc<Activity>, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let due = self.tell(Instant::now());
            tokio::select! {
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
                () = self.earlier.notified() => {}
                () = stop.cancelled() => {}
            }
        }
        self.tell(Instant::now() + RESTLESS);
    }

    /// Tells what rests now, unless pages were told just before. Returns when there is more to tell.
    fn tell(&self, now: Instant) -> Option<Instant> {
        let mut waiting = self.waiting();
        if waiting.due(now)? <= now {
            let rested = waiting.take_rested(now);
            let here = waiting.take_here();
            for entry in &rested {
                info!("{entry}");
            }
            self.told.send_modify(|told| {
                told.here = here.unwrap_or_else(|| told.here.clone());
                told.count += rested.len() as u64;
                told.log.extend(rested);
                let old = told.log.len().saturating_sub(MOST);
                told.log.drain(..old);
            });
            waiting.last = Some(now);
        }
        waiting.due(now)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    /// Keeps an entry until it rests, and returns how long that is.
    fn note(&mut self, entry: Entry) -> Duration {
        self.noted += 1;
        let number = self.noted;
        let (about, rest) = about(&entry, number);
        let since = Instant::now();
        let rests = since + rest;
        match self.fresh.entry(about) {
            Slot::Vacant(slot) => {
                slot.insert(Fresh {
                    entry,
                    number,
                    since,
                    rests,
                });
            }
            Slot::Occupied(slot) if matches!(slot.key(), About::Name(_)) => {
                slot.remove();
            }
            Slot::Occupied(slot) => {
                let fresh = slot.into_mut();
                fresh.entry = entry;
                fresh.number = number;
                fresh.rests = rests.min(fresh.since + RESTLESS);
            }
        }
        if self.fresh.len() > MOST_FRESH {
            self.drop_oldest();
        }
        rest
    }

    /// Pages that come and go by the thousand do not fill the memory.
    fn drop_oldest(&mut self) {
        let numbers = self.fresh.values().map(|fresh| fresh.number);
        if let Some(oldest) = numbers.min() {
            self.fresh.retain(|_, fresh| fresh.number != oldest);
        }
    }

    /// A page calls itself by another name, or left.
    fn rename(&mut self, number: u64, address: IpAddr, name: Option<Arc<str>>) {
        let entry = |name: Arc<str>, what| {
            let name = Some(name);
            let who = Actor::Page {
                number,
                address,
                name,
            };
            Entry::new(who, what)
        };
        if let Some(old) = self.names.remove(&number)
            && !self.is_here(&old)
        {
            self.note(entry(old, Action::Left));
        }
        if let Some(new) = name {
            if !self.is_here(&new) {
                self.note(entry(new.clone(), Action::Joined));
            }
            self.names.insert(number, new);
        }
        self.names_are_new = true;
    }

    fn is_here(&self, name: &Arc<str>) -> bool {
        self.names.values().any(|here| here == name)
    }

    /// When pages are to be told next.
    fn due(&self, now: Instant) -> Option<Instant> {
        let rests = self.fresh.values().map(|fresh| fresh.rests);
        let due = rests.chain(self.names_are_new.then_some(now)).min()?;
        Some(self.last.map_or(due, |last| due.max(last + PACE)))
    }

    /// The newest of what rests, at most [`MOST`], in the order in which it was done.
    fn take_rested(&mut self, now: Instant) -> Vec<Entry> {
        let rested = self.fresh.extract_if(|_, fresh| fresh.rests <= now);
        let mut rested: Vec<_> = rested.map(|(_, fresh)| fresh).collect();
        rested.sort_by_key(|fresh| fresh.number);
        let old = rested.len().saturating_sub(MOST);
        rested.drain(..old);
        rested.into_iter().map(|fresh| fresh.entry).collect()
    }

    /// The names, if there are others.
    fn take_here(&mut self) -> Option<Arc<[Arc<str>]>> {
        let new = std::mem::take(&mut self.names_are_new);
        let names = || self.names.values().collect::<BTreeSet<_>>();
        new.then(|| names().into_iter().take(MOST).cloned().collect())
    }
}

/// What the entry of this number is about, and how long it rests.
fn about(entry: &Entry, number: u64) -> (About, Duration) {
    let who = || entry.who.by_any_name();
    let about = match &entry.what {
        Action::Joined | Action::Left => About::Name(entry.who.name().cloned().unwrap_or_default()),
        Action::Set { light, .. } | Action::Effect { light, .. } => {
            About::Light(who(), light.clone())
        }
        Action::Recalled { preset } | Action::Saved { preset } | Action::Forgot { preset } => {
            About::Preset(who(), preset.clone())
        }
        Action::Timer { timer } | Action::Cancelled { timer } => About::Timer(who(), timer.clone()),
        Action::Said { .. } => return (About::Word(number), Duration::ZERO),
    };
    (about, REST)
}

/// An open page, as the others hear of it. It leaves when this is dropped.
pub struct Participant {
    activity: Arc<Activity>,
    number: u64,
    address: IpAddr,
    name: Option<Arc<str>>,
    /// When it will have said nothing for a minute, as far as its allowance goes.
    silent: Instant,
}

impl Participant {
    /// What it calls itself.
    pub fn name(&self) -> Option<Arc<str>> {
        self.name.clone()
    }

    /// It calls itself by this name from now on.
    pub fn rename(&mut self, name: Arc<str>) {
        if self.name.as_ref() != Some(&name) {
            self.name = Some(name);
            self.tell_name(self.name());
        }
    }

    /// It did something.
    pub fn did(&self, what: Action) {
        let who = Actor::Page {
            number: self.number,
            address: self.address,
            name: self.name(),
        };
        self.activity.note(who, what);
    }

    /// It says something to the others.
    ///
    /// # Errors
    /// [`Error`].
    pub fn say(&mut self, text: String) -> Result<(), Error> {
        if !self.activity.on {
            return Err(Error::Off);
        }
        let now = Instant::now();
        let silent = self.silent.max(now) + MINUTE / WORDS;
        if silent > now + MINUTE {
            return Err(Error::TooMuch);
        }
        self.silent = silent;
        self.did(Action::Said { text });
        Ok(())
    }

    fn tell_name(&self, name: Option<Arc<str>>) {
        if self.activity.on {
            let mut waiting = self.activity.waiting();
            waiting.rename(self.number, self.address, name);
            self.activity.earlier.notify_one();
        }
    }
}

impl Drop for Participant {
    fn drop(&mut self) {
        if self.name.is_some() {
            self.tell_name(None);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use serde_json::{Value, json};
    use tokio::time::advance;

    use super::*;
    use crate::model::effect::Kind;
    use crate::model::level::Level;

    const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 168, 1, 7));

    fn set(light: &str, percent: u32) -> Action {
        Action::Set {
            light: light.into(),
            level: Level::from_percent(percent.into()).unwrap(),
        }
    }

    /// Lets this time pass, and tells what rests by then.
    async fn after(time: Duration, activity: &Activity) -> Option<Instant> {
        advance(time).await;
        activity.tell(Instant::now())
    }

    /// What a page is told that shows so many entries, without the times.
    fn told(activity: &Activity, shown: u64) -> Vec<Value> {
        let told = activity.told();
        let entry = |entry| {
            let mut entry = serde_json::to_value(entry).unwrap();
            assert!(entry.as_object_mut().unwrap().remove("at").is_some());
            entry
        };
        told.since(shown).map(entry).collect()
    }

    fn here(activity: &Activity) -> Vec<String> {
        let here = &activity.told().here;
        here.iter().map(|name| name.to_string()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_drag_is_one_entry_once_it_rests_for_each_page_and_light() {
        let activity = Activity::new(true);
        let mut ana = activity.enter(1, ADDRESS);
        ana.rename("Ana".into());
        let other = activity.enter(2, ADDRESS);
        after(REST, &activity).await;
        for level in 0..100 {
            ana.did(set("desk", level));
            other.did(set("desk", 100 - level));
            after(REST / 100, &activity).await;
        }
        ana.did(set("shelf", 7));
        assert_eq!(told(&activity, 0).len(), 1, "that Ana joined");
        after(REST, &activity).await;
        assert_eq!(
            told(&activity, 1),
            [
                json!({"who": "Ana", "what": "set", "light": "desk", "level": 99}),
                json!({"what": "set", "light": "desk", "level": 1}),
                json!({"who": "Ana", "what": "set", "light": "shelf", "level": 7}),
            ]
        );
        assert_eq!(activity.tell(Instant::now()), None, "nothing is left to do");
    }

    #[tokio::test(start_paused = true)]
    async fn a_page_that_changes_its_name_is_the_same_all_the_time() {
        let activity = Activity::new(true);
        let mut page = activity.enter(1, ADDRESS);
        for level in 0..10 {
            page.rename(level.to_string().into());
            page.did(set("desk", level));
        }
        after(REST, &activity).await;
        assert_eq!(
            told(&activity, 0),
            [
                json!({"who": "9", "what": "joined"}),
                json!({"who": "9", "what": "set", "light": "desk", "level": 9}),
            ]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_that_never_rests_is_told_once_a_minute() {
        let activity = Activity::new(true);
        for second in 0..=60 {
            activity.note(Actor::Api(ADDRESS), set("desk", second));
            after(PACE, &activity).await;
        }
        let entry = json!({"via": "api", "what": "set", "light": "desk", "level": 59});
        assert_eq!(told(&activity, 0), [entry]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_here_is_told_at_once_and_then_once_a_second() {
        let activity = Activity::new(true);
        let mut guests: Vec<_> = (0..3).map(|page| activity.enter(page, ADDRESS)).collect();
        guests[0].rename("Bia".into());
        assert_eq!(
            activity.tell(Instant::now()),
            Some(Instant::now() + REST),
            "when it rests that she joined"
        );
        assert_eq!(here(&activity), ["Bia"]);
        guests[1].rename("Ana".into());
        guests[2].rename("Ana".into());
        after(PACE / 2, &activity).await;
        assert_eq!(here(&activity), ["Bia"]);
        after(PACE / 2, &activity).await;
        assert_eq!(here(&activity), ["Ana", "Bia"]);

        guests.remove(1);
        guests.remove(0);
        after(REST, &activity).await;
        assert_eq!(here(&activity), ["Ana"]);
        // Bia was not here for long enough, and the other Ana still is.
        let joined = json!({"who": "Ana", "what": "joined"});
        assert_eq!(told(&activity, 0), [joined]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_leaves_and_is_back_at_once_was_never_away() {
        let activity = Activity::new(true);
        let mut ana = activity.enter(1, ADDRESS);
        ana.rename("Ana".into());
        after(REST, &activity).await;
        drop(ana);
        let mut again = activity.enter(2, ADDRESS);
        again.rename("Ana".into());
        after(REST, &activity).await;
        assert_eq!(told(&activity, 1), Vec::<Value>::new());
        again.rename("Eva".into());
        after(REST, &activity).await;
        assert_eq!(
            told(&activity, 1),
            [
                json!({"who": "Ana", "what": "left"}),
                json!({"who": "Eva", "what": "joined"}),
            ]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_100_entries_and_names_are_kept() {
        let activity = Activity::new(true);
        let mut guests = Vec::new();
        for page in 0..150 {
            let mut guest = activity.enter(page, ADDRESS);
            guest.rename(format!("{page:03}").into());
            guest.did(Action::Said {
                text: page.to_string(),
            });
            guests.push(guest);
        }
        after(Duration::ZERO, &activity).await;
        for (shown, first) in [(0, "50"), (30, "80"), (99, "149")] {
            assert_eq!(told(&activity, shown)[0]["text"], first, "{shown}");
        }
        assert_eq!(told(&activity, 100), Vec::<Value>::new());
        assert_eq!(here(&activity).last().unwrap(), "099");
        after(REST, &activity).await;
        assert_eq!(told(&activity, 0).len(), MOST);
        assert_eq!(activity.told().count, 200);
    }

    #[test]
    fn pages_that_come_and_go_by_the_thousand_do_not_fill_the_memory() {
        let activity = Activity::new(true);
        for page in 0..3000 {
            activity.enter(page, ADDRESS).did(set("desk", 1));
        }
        let waiting = activity.waiting();
        assert_eq!(waiting.fresh.len(), MOST_FRESH);
        let oldest = waiting.fresh.values().map(|fresh| fresh.number).min();
        assert_eq!(oldest, Some(2001), "the newest are kept");
    }

    #[tokio::test(start_paused = true)]
    async fn ten_things_can_be_said_at_once_and_one_more_every_six_seconds() {
        let activity = Activity::new(true);
        let mut guest = activity.enter(1, ADDRESS);
        for _ in 0..WORDS {
            guest.say("hi".into()).unwrap();
        }
        assert_eq!(guest.say("hi".into()), Err(Error::TooMuch));
        advance(MINUTE / WORDS).await;
        guest.say("hi".into()).unwrap();
        assert_eq!(guest.say("hi".into()), Err(Error::TooMuch));
        let mut other = activity.enter(2, ADDRESS);
        other.say("hi".into()).unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn without_activity_nothing_is_kept() {
        let activity = Activity::new(false);
        let mut guest = activity.enter(1, ADDRESS);
        guest.rename("Ana".into());
        guest.did(set("desk", 1));
        assert_eq!(guest.say("hi".into()), Err(Error::Off));
        assert_eq!(after(REST, &activity).await, None);
        assert_eq!(activity.told().count, 0);
    }

    #[test]
    fn the_log_says_who_did_what_from_where() {
        let (light, preset) = (String::from("desk"), String::from("Film"));
        let effect = Some(Kind::Blink);
        let page = |name: Option<&str>| Actor::Page {
            number: 1,
            address: ADDRESS,
            name: name.map(Arc::from),
        };
        let ana = page(Some("Ana's phone"));
        let text = "keep it low".into();
        for (who, what, line) in [
            (
                ana,
                set("desk", 40),
                "Ana's phone (192.168.1.7) set desk to 40",
            ),
            (
                page(None),
                Action::Said { text },
                "a page (192.168.1.7) said: keep it low",
            ),
            (
                Actor::Api(ADDRESS),
                Action::Effect { light, effect },
                "the API (192.168.1.7) started blink on desk",
            ),
            (
                Actor::Mqtt,
                Action::Recalled { preset },
                "MQTT recalled Film",
            ),
        ] {
            assert_eq!(Entry::new(who, what).to_string(), line);
        }
    }
}
