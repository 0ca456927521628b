//! What waits to be published: entries until they settle, and the names of who is here.

use std::collections::hash_map::Entry as Slot;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::entry::{Action, Entry, MAX_ENTRIES};
use super::quota::Quotas;
use crate::model::actor::Actor;

/// The most entries that wait to settle: some for each client that may be connected.
pub(super) const MAX_PENDING: usize = 1000;
/// How long an action must stay the last of its kind before it is published.
pub(super) const SETTLE: Duration = Duration::from_secs(2);
/// After this time it is published anyway, so that a client cannot hide an action by repeating it.
pub(super) const MAX_SETTLE: Duration = Duration::from_secs(60);
/// Shortest time between two updates of the clients.
pub(super) const THROTTLE: Duration = Duration::from_secs(1);

/// The entries and names that have not been published yet.
#[derive(Default)]
pub(super) struct Pending {
    /// The name of each connected client, by its number.
    names: BTreeMap<u64, Arc<str>>,
    names_changed: bool,
    pub(super) entries: HashMap<ActivitySubject, PendingEntry>,
    pub(super) quotas: Quotas,
    /// The number of entries so far.
    recorded: u64,
    /// The last update of the clients.
    pub(super) last: Option<Instant>,
}

/// The subject of an entry: of two entries with the same subject, only the newer is published.
#[derive(PartialEq, Eq, Hash)]
pub(super) enum ActivitySubject {
    Light(Actor, String),
    /// The lights that were set at once.
    Lights(Actor),
    /// Apart from the levels: a flash must not hide one that was set just before it.
    Flash(Actor, String),
    Preset(Actor, String),
    Timer(Actor, String),
    Settings(Actor, Option<String>),
    /// The presence of a name: a client that reconnects at once never left.
    Name(Arc<str>),
    /// A remark or a restored backup, by the number of its entry: each is published.
    Single(u64),
}

/// An entry that may still be replaced.
pub(super) struct PendingEntry {
    entry: Entry,
    /// Orders entries of the same second.
    pub(super) number: u64,
    since: Instant,
    settles: Instant,
}

impl Pending {
    /// Keeps an entry until it has settled, and returns how long that takes.
    pub(super) fn record(&mut self, entry: Entry) -> Duration {
        self.recorded += 1;
        let number = self.recorded;
        let (subject, settle) = subject(&entry, number);
        let since = Instant::now();
        let settles = since + settle;
        match self.entries.entry(subject) {
            Slot::Vacant(slot) => {
                self.quotas.of(entry.actor.source(), since).pending += 1;
                slot.insert(PendingEntry {
                    entry,
                    number,
                    since,
                    settles,
                });
            }
            Slot::Occupied(slot) if matches!(slot.key(), ActivitySubject::Name(_)) => {
                let source = slot.remove().entry.actor.source();
                self.quotas.of(source, since).pending -= 1;
            }
            Slot::Occupied(slot) => {
                let pending = slot.into_mut();
                let earlier = std::mem::replace(&mut pending.entry, entry);
                pending.entry.action.include(earlier.action);
                pending.number = number;
                pending.settles = settles.min(pending.since + MAX_SETTLE);
            }
        }
        if self.entries.len() > MAX_PENDING {
            self.drop_oldest();
        }
        settle
    }

    /// Bounds the memory where clients come and go by the thousand: the source with the most entries loses
    /// its oldest.
    fn drop_oldest(&mut self) {
        let Some(noisiest) = self.quotas.noisiest() else {
            return;
        };
        let of_noisiest = self.entries.values();
        let numbers = of_noisiest
            .filter(|pending| pending.entry.actor.source() == noisiest)
            .map(|pending| pending.number);
        if let Some(oldest) = numbers.min() {
            let dropped = self
                .entries
                .extract_if(|_, pending| pending.number == oldest)
                .next();
            if let Some((_, dropped)) = dropped {
                let now = Instant::now();
                let quota = self.quotas.of(noisiest, now);
                quota.pending -= 1;
                quota.omit(&dropped.entry.actor, now);
            }
        }
    }

    /// Records another name of a client, or none once it has disconnected.
    pub(super) fn rename(&mut self, number: u64, address: IpAddr, name: Option<Arc<str>>) {
        let entry = |name: Arc<str>, action| {
            let name = Some(name);
            let actor = Actor::Client {
                number,
                address,
                name,
            };
            Entry::new(actor, action)
        };
        if let Some(old) = self.names.remove(&number)
            && !self.is_here(&old)
        {
            self.record(entry(old, Action::Left));
        }
        if let Some(new) = name {
            if !self.is_here(&new) {
                self.record(entry(new.clone(), Action::Joined));
            }
            self.names.insert(number, new);
        }
        self.names_changed = true;
    }

    fn is_here(&self, name: &Arc<str>) -> bool {
        self.names.values().any(|here| here == name)
    }

    /// When the next update of the clients is due.
    pub(super) fn due(&self, now: Instant) -> Option<Instant> {
        let settles = self.entries.values().map(|pending| pending.settles);
        let due = settles
            .chain(self.names_changed.then_some(now))
            .chain(self.quotas.next_summary())
            .min()?;
        Some(self.last.map_or(due, |last| due.max(last + THROTTLE)))
    }

    /// The entries that have settled and that the quota of their source allows, the newest of each, in the
    /// order of their actions; and for the others how many there were.
    pub(super) fn take_settled(&mut self, now: Instant) -> Vec<Entry> {
        let settled = self.entries.extract_if(|_, pending| pending.settles <= now);
        let mut settled: Vec<_> = settled.map(|(_, pending)| pending).collect();
        settled.sort_by_key(|pending| pending.number);
        let mut entries = VecDeque::new();
        for PendingEntry { entry, .. } in settled.into_iter().rev() {
            let quota = self.quotas.of(entry.actor.source(), now);
            quota.pending -= 1;
            match quota.entries.take(now) {
                true => entries.push_front(entry),
                false => quota.omit(&entry.actor, now),
            }
        }
        entries.extend(self.quotas.take_summaries(now));
        entries.into()
    }

    /// The names, if they have changed.
    pub(super) fn take_here(&mut self) -> Option<Arc<[Arc<str>]>> {
        let changed = std::mem::take(&mut self.names_changed);
        let names = || self.names.values().collect::<BTreeSet<_>>();
        changed.then(|| names().into_iter().take(MAX_ENTRIES).cloned().collect())
    }
}

/// The subject of an entry, and how long it takes to settle.
fn subject(entry: &Entry, number: u64) -> (ActivitySubject, Duration) {
    let actor = || entry.actor.without_name();
    let subject = match &entry.action {
        Action::Joined | Action::Left => {
            ActivitySubject::Name(entry.actor.name().cloned().unwrap_or_default())
        }
        Action::Set { light, .. } | Action::Effect { light, .. } => {
            ActivitySubject::Light(actor(), light.clone())
        }
        Action::SetTogether { .. } => ActivitySubject::Lights(actor()),
        Action::Flashed { light } => ActivitySubject::Flash(actor(), light.clone()),
        Action::PresetRecalled { preset }
        | Action::PresetSaved { preset }
        | Action::PresetForgotten { preset } => ActivitySubject::Preset(actor(), preset.clone()),
        Action::TimerAdded { timer } | Action::TimerCancelled { timer } => {
            ActivitySubject::Timer(actor(), timer.clone())
        }
        Action::SettingsChanged { light } => ActivitySubject::Settings(actor(), light.clone()),
        Action::Restored | Action::Said { .. } | Action::More { .. } => {
            return (ActivitySubject::Single(number), Duration::ZERO);
        }
    };
    (subject, SETTLE)
}
