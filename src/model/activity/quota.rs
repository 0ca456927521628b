//! Quotas of entries and remarks for each source. They outlive the connections of their source.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use super::entry::{Action, Entry};
use crate::model::actor::{Actor, Source};

/// Entries of a source at once, and then one a second. All lights of a preset are one entry.
const MAX_ENTRIES: u32 = 300;
const ENTRY: Duration = Duration::from_secs(1);
/// Remarks from an address at once, and then 30 a minute.
const MAX_REMARKS: u32 = 120;
const REMARK: Duration = Duration::from_secs(2);
/// How often a source's omitted entries are reported.
const SUMMARY: Duration = Duration::from_secs(60);
/// The most sources that are remembered, so that one with many addresses fills no memory.
const MAX_SOURCES: usize = 1024;

/// The quotas of all sources that have used theirs.
#[derive(Default)]
pub struct Quotas(HashMap<Source, Quota>);

/// What a source may still do, and what it did beyond that.
pub struct Quota {
    /// Its entries that wait to settle.
    pub pending: usize,
    pub entries: Allowance,
    pub remarks: Allowance,
    omitted: Option<Omitted>,
}

/// Entries of a source that are not published.
struct Omitted {
    actor: Actor,
    count: u64,
    report_at: Instant,
}

impl Quotas {
    /// The quota of this source.
    pub fn of(&mut self, source: Source, now: Instant) -> &mut Quota {
        if self.0.len() >= MAX_SOURCES && !self.0.contains_key(&source) {
            self.0.retain(|_, quota| !quota.is_unused(now));
            let idle = self.0.iter().filter(|(_, quota)| quota.is_idle());
            let least = idle.min_by_key(|(_, quota)| quota.entries.used_until);
            if let Some(least) = least.map(|(source, _)| *source) {
                self.0.remove(&least);
            }
        }
        self.0.entry(source).or_insert_with(|| Quota {
            pending: 0,
            entries: Allowance::new(now, MAX_ENTRIES, ENTRY),
            remarks: Allowance::new(now, MAX_REMARKS, REMARK),
            omitted: None,
        })
    }

    /// The source with the most entries that wait to settle.
    pub fn noisiest(&self) -> Option<Source> {
        let most = self.0.iter().max_by_key(|(_, quota)| quota.pending);
        most.map(|(source, _)| *source)
    }

    /// When the next summary of omitted entries is due.
    pub fn next_summary(&self) -> Option<Instant> {
        let omitted = self.0.values().filter_map(|quota| quota.omitted.as_ref());
        omitted.map(|omitted| omitted.report_at).min()
    }

    /// An entry for each source whose omitted entries are due to be reported. Forgets unused quotas.
    pub fn take_summaries(&mut self, now: Instant) -> Vec<Entry> {
        let due = |omitted: &mut Omitted| omitted.report_at <= now;
        let omitted = self.0.values_mut();
        let omitted = omitted.filter_map(|quota| quota.omitted.take_if(due));
        let summaries =
            omitted.map(|Omitted { actor, count, .. }| Entry::new(actor, Action::More { count }));
        let summaries = summaries.collect();
        self.0.retain(|_, quota| !quota.is_unused(now));
        summaries
    }
}

impl Quota {
    /// Counts an entry of this actor that is not published.
    pub fn omit(&mut self, actor: &Actor, now: Instant) {
        let omitted = self.omitted.get_or_insert_with(|| Omitted {
            actor: actor.without_name(),
            count: 0,
            report_at: now + SUMMARY,
        });
        omitted.count += 1;
    }

    fn is_idle(&self) -> bool {
        self.pending == 0 && self.omitted.is_none()
    }

    fn is_unused(&self, now: Instant) -> bool {
        self.is_idle() && self.entries.used_until.max(self.remarks.used_until) <= now
    }
}

/// A number of things at once, and then one each `interval`.
pub struct Allowance {
    used_until: Instant,
    max: u32,
    interval: Duration,
}

impl Allowance {
    /// All of it.
    pub fn new(now: Instant, max: u32, interval: Duration) -> Allowance {
        Allowance {
            used_until: now,
            max,
            interval,
        }
    }

    /// Whether there is one left, which is then used.
    pub fn take(&mut self, now: Instant) -> bool {
        let used_until = self.used_until.max(now) + self.interval;
        let is_left = used_until <= now + self.interval * self.max;
        if is_left {
            self.used_until = used_until;
        }
        is_left
    }
}
