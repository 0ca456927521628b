//! Tells every page what is new: one loop for all, one write for each.
//!
//! A task for each page that waits for news would be woken for each, and what that costs is most of
//! what a service can save: docs/performance.md has the figures. So the task of a page only reads,
//! and this loop writes, from the same state for all. A page that does not take it all at once is
//! left to its own task until it has: it delays nobody.

use std::collections::BTreeMap;
use std::io;
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::protocol::frame::FrameHeader;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use super::fleet_view::FleetView;
use crate::model::activity::ActivityFeed;
use crate::model::effect::Effect;
use crate::model::hub::Hub;
use crate::model::level::Level;
use crate::model::lights::LightState;
use crate::model::presets;
use crate::model::timers::Timer;
use crate::protocol::{self, FaultOf, ServerMessage};
use crate::web::limiter::ConnectionLimiter;
use crate::web::live::shared_stream::SharedStream;

/// Pages told before others get their turn: what they have to say is heard that soon. With more, the
/// runtime would stop the loop within its turn, and take pages for slow that are not: a task has 128
/// reads and writes, and a page may take three.
const AT_ONCE: usize = 32;
/// Time that a page may take nothing: as long as it may say nothing.
pub const STALL: Duration = Duration::from_secs(30);

/// The pages, and what they are told of.
pub struct Fanout {
    hub: Arc<Hub>,
    crowd: Arc<ConnectionLimiter>,
    screens: Mutex<BTreeMap<u64, Arc<Screen>>>,
}

/// What a page shows, and the way to it.
struct Screen {
    line: SharedStream,
    shown: Mutex<Shown>,
    /// Wakes the page's own task when [`Shown::behind`] is set.
    behind: Notify,
}

/// What a page shows: what it last set, or was last told.
pub struct Shown {
    /// The last `seq` it sent, once it has sent one.
    pub seen: Option<u64>,
    lights: Vec<ShownLight>,
    presets: Arc<presets::ByName>,
    timers: Arc<Vec<Timer>>,
    here: Arc<[Arc<str>]>,
    /// How many of all entries of the activity.
    told: u64,
    pages: usize,
    /// The lights of other dimmers.
    pub fleet: FleetView,
    /// Whether it has not taken all yet. Until it has, only its own task tells it anything.
    behind: bool,
}

#[derive(Clone, Default)]
struct ShownLight {
    /// `None`: not known, so it is to be told.
    look: Option<Look>,
    fault: Option<Arc<str>>,
}

/// What a page shows of a light that works.
#[derive(Clone, Copy, PartialEq)]
struct Look {
    level: Level,
    effect: Option<Effect>,
    arrives: Option<Instant>,
}

impl From<&LightState> for Look {
    fn from(light: &LightState) -> Look {
        Look {
            level: light.level,
            effect: light.effect,
            arrives: light.arrives(),
        }
    }
}

/// Frames that are made once for all pages.
#[derive(Default)]
struct Frames {
    /// About each light's level, for those that use no `seq`.
    levels: Vec<(u64, Vec<u8>)>,
    /// About the activity, from one count of its entries to another.
    activity: (u64, u64, Vec<u8>),
}

impl Fanout {
    /// For the pages of this crowd.
    pub fn new(hub: Arc<Hub>, crowd: Arc<ConnectionLimiter>) -> Arc<Fanout> {
        Arc::new(Fanout {
            hub,
            crowd,
            screens: Mutex::default(),
        })
    }

    /// Takes a page in. It is told nothing before its first [`Member::tell`].
    pub fn join(self: &Arc<Fanout>, page: u64, line: SharedStream) -> Member {
        let screen = Arc::new(Screen {
            line,
            shown: Mutex::new(Shown {
                seen: None,
                lights: vec![ShownLight::default(); self.hub.lights.list().len()],
                presets: Arc::default(),
                timers: Arc::default(),
                here: Arc::default(),
                told: 0,
                pages: 0,
                fleet: FleetView::default(),
                behind: true,
            }),
            behind: Notify::new(),
        });
        self.screens().insert(page, screen.clone());
        Member {
            fanout: self.clone(),
            page,
            screen,
        }
    }

    /// Tells the pages whatever is new, and never ends.
    pub async fn follow(&self) {
        let (mut lights, mut crowd) = (self.hub.lights.watch(), self.crowd.watch());
        let mut presets = self.hub.presets.watch();
        let mut timers = self.hub.timers.watch();
        let mut activity = self.hub.activity.watch();
        let mut fleet = self.hub.fleet.watch();
        let (mut frames, mut out) = (Frames::default(), Vec::new());
        loop {
            let mut told = Some(0);
            while let Some(last) = told {
                told = self.tell_some(last, &mut frames, &mut out);
                task::yield_now().await;
            }
            tokio::select! {
                // Neither fails: `self` holds what their senders live in.
                _ = lights.changed() => {}
                _ = crowd.changed() => {}
                _ = presets.changed() => {}
                _ = timers.changed() => {}
                _ = activity.changed() => {}
                _ = fleet.changed() => {}
            }
        }
    }

    /// Tells the next pages after this one, and says which was the last of them, if there was any.
    fn tell_some(&self, after: u64, frames: &mut Frames, out: &mut Vec<u8>) -> Option<u64> {
        let screens = self.screens();
        let next = screens.range((Excluded(after), Unbounded)).take(AT_ONCE);
        let mut last = None;
        for (page, screen) in next {
            screen.tell(self, frames, out);
            last = Some(*page);
        }
        last
    }

    fn screens(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Screen>>> {
        self.screens.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Screen {
    fn tell(&self, fanout: &Fanout, frames: &mut Frames, out: &mut Vec<u8>) {
        let mut shown = self.shown();
        if shown.behind {
            return;
        }
        out.clear();
        shown.news(fanout, frames, out);
        if !self.line.send(out) {
            shown.behind = true;
            self.behind.notify_one();
        }
    }

    fn shown(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A page that is told, until this is dropped.
pub struct Member {
    fanout: Arc<Fanout>,
    page: u64,
    screen: Arc<Screen>,
}

impl Member {
    /// What it shows. While this is held it is told nothing, so that a page's own change can be
    /// made and taken as shown in one.
    pub fn shown(&self) -> MutexGuard<'_, Shown> {
        self.screen.shown()
    }

    /// Resolves when it did not take all that it was told, so that [`tell`](Member::tell) is due.
    pub async fn behind(&self) {
        self.screen.behind.notified().await;
    }

    /// Tells it `first`, what it does not show yet, and `last`; resolves when it has taken that.
    ///
    /// # Errors
    /// It is gone, or takes nothing for [`STALL`].
    pub async fn tell(
        &self,
        mut first: Option<String>,
        mut last: Option<String>,
    ) -> io::Result<()> {
        loop {
            let mut out = Vec::new();
            {
                let mut shown = self.shown();
                first.take().inspect(|text| frame(text, &mut out));
                shown.news(&self.fanout, &mut Frames::default(), &mut out);
                last.take().inspect(|text| frame(text, &mut out));
                shown.behind = !self.screen.line.send(&out);
                if !shown.behind {
                    return Ok(());
                }
            }
            timeout(STALL, self.screen.line.flush()).await??;
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.fanout.screens().remove(&self.page);
    }
}

impl Shown {
    /// The page shows a light as it is set now; or as it is not known.
    pub fn set(&mut self, light: usize, state: Option<&LightState>) {
        self.lights[light].look = state.map(Look::from);
    }

    /// Adds the frames about what the page does not show yet, and takes it as shown.
    fn news(&mut self, fanout: &Fanout, frames: &mut Frames, out: &mut Vec<u8>) {
        let lights = fanout.hub.lights.list();
        let states = fanout.hub.lights.states();
        for (index, (light, state)) in lights.iter().zip(&*states).enumerate() {
            let shown = &mut self.lights[index];
            let look = Look::from(state);
            if shown.look != Some(look) {
                shown.look = Some(look);
                match self.seen {
                    None => out.extend(frames.level(index, &light.name, state)),
                    seen => frame(&level(&light.name, state, seen), out),
                }
            }
            let message = state.fault.as_ref().map(|fault| &fault.message);
            if shown.fault.as_ref() != message {
                shown.fault = message.cloned();
                let light = light.name.as_str();
                let message = message.map(|message| &**message);
                let fault = FaultOf { light, message };
                frame(&ServerMessage::Fault { fault }.to_json(), out);
            }
        }
        drop(states);
        let fleet = self.fleet.news(&fanout.hub.fleet, self.seen);
        fleet.inspect(|news| frame(news, out));
        let presets = fanout.hub.presets.all();
        if !Arc::ptr_eq(&self.presets, &presets) && !self.presets.keys().eq(presets.keys()) {
            let presets = presets.keys().map(String::as_str).collect();
            frame(&ServerMessage::Presets { presets }.to_json(), out);
        }
        self.presets = presets;
        let timers = fanout.hub.timers.all();
        if !Arc::ptr_eq(&self.timers, &timers) && self.timers != timers {
            let timers = &timers;
            frame(&ServerMessage::Timers { timers }.to_json(), out);
        }
        self.timers = timers;
        let told = fanout.hub.activity.told();
        if !Arc::ptr_eq(&self.here, &told.here) {
            if self.here != told.here {
                let here = told.here.iter().map(|name| &**name).collect();
                frame(&ServerMessage::Here { here }.to_json(), out);
            }
            self.here = told.here.clone();
        }
        if self.told != told.count {
            out.extend(frames.activity(self.told, &told));
            self.told = told.count;
        }
        drop(told);
        let pages = fanout.crowd.all();
        if self.pages != pages {
            self.pages = pages;
            frame(&ServerMessage::Pages { pages }.to_json(), out);
        }
    }
}

impl Frames {
    fn level(&mut self, index: usize, name: &str, state: &LightState) -> &[u8] {
        if self.levels.len() <= index {
            self.levels.resize_with(index + 1, Default::default);
        }
        let (revision, made) = &mut self.levels[index];
        if made.is_empty() || *revision != state.revision {
            *revision = state.revision;
            made.clear();
            frame(&level(name, state, None), made);
        }
        made
    }

    fn activity(&mut self, shown: u64, told: &ActivityFeed) -> &[u8] {
        let (from, to, made) = &mut self.activity;
        if made.is_empty() || (*from, *to) != (shown, told.count) {
            (*from, *to) = (shown, told.count);
            made.clear();
            let activity = told.since(shown).collect();
            frame(&ServerMessage::Activity { activity }.to_json(), made);
        }
        made
    }
}

fn level(light: &str, state: &LightState, seen: Option<u64>) -> String {
    let answer = ServerMessage::Level {
        light,
        level: state.level,
        effect: state.effect,
        left: state.left().map(protocol::seconds),
        by: state.by.as_deref(),
        seen,
    };
    answer.to_json()
}

/// Adds a text frame.
fn frame(text: &str, out: &mut Vec<u8>) {
    let header = FrameHeader {
        opcode: OpCode::Data(Data::Text),
        ..FrameHeader::default()
    };
    let length = text.len() as u64;
    header
        .format(length, out)
        .expect("memory takes all that is written to it");
    out.extend(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use futures_util::FutureExt;
    use tokio::io::{AsyncReadExt, DuplexStream, duplex};
    use tokio::time::sleep;

    use super::*;
    use crate::model::lights::{Change, Lights};
    use crate::web::limiter::Permit;

    /// Bytes on the way to a page that takes all, and to one that takes next to nothing.
    const FAST: usize = 64 * 1024;
    const SLOW: usize = 5;

    /// All that tells pages, with one light at 50.
    struct Telling(Arc<Fanout>);

    /// A page, and what it hears.
    struct Page {
        member: Member,
        /// Counts as a page until this is dropped.
        _place: Permit,
        ear: DuplexStream,
    }

    impl Telling {
        fn new() -> Telling {
            let hub = Hub::of(Lights::led());
            let fanout = Fanout::new(hub, ConnectionLimiter::new(1000, 1000));
            let telling = fanout.clone();
            task::spawn(async move { telling.follow().await });
            Telling(fanout)
        }

        fn set(&self, percent: u8) {
            let level = Level::from_percent(percent.into()).unwrap();
            let lights = &self.0.hub.lights;
            lights.change(0, Change::Level(level), None, None);
        }

        /// One that was not told anything yet.
        fn join(&self, on_the_way: usize) -> Page {
            let place = self
                .0
                .crowd
                .try_acquire(Ipv4Addr::LOCALHOST.into())
                .unwrap();
            let (ear, line) = duplex(on_the_way);
            Page {
                member: self.0.join(place.number, SharedStream::new(line)),
                _place: place,
                ear,
            }
        }

        /// One that shows all there is.
        async fn page(&self, on_the_way: usize) -> Page {
            let mut page = self.join(on_the_way);
            let Page { member, ear, .. } = &mut page;
            let (told, ()) = tokio::join!(member.tell(None, None), async {
                while !hear(ear).await.contains("pages") {}
            });
            told.unwrap();
            page
        }
    }

    /// The next text.
    async fn hear(ear: &mut DuplexStream) -> String {
        let text = async {
            assert_eq!(ear.read_u8().await.unwrap(), 0x81, "a text in one frame");
            let length = match ear.read_u8().await.unwrap() {
                126 => ear.read_u16().await.unwrap().into(),
                length => usize::from(length),
            };
            let mut text = vec![0; length];
            ear.read_exact(&mut text).await.unwrap();
            String::from_utf8(text).unwrap()
        };
        timeout(STALL, text).await.expect("nothing more is said")
    }

    async fn assert_heard(page: &mut Page, expected: &[&str]) {
        for expected in expected {
            assert_eq!(hear(&mut page.ear).await, *expected);
        }
        let more = page.ear.read_u8().now_or_never();
        assert!(more.is_none(), "no more than that: {more:?}");
    }

    /// Lets all be done that there is to do: only then does the time go on that is not real.
    async fn rest() {
        sleep(Duration::from_millis(1)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_page_is_told_nothing_before_its_hello_and_the_answer_last() {
        let hub = Telling::new();
        let mut page = hub.join(FAST);
        hub.set(7);
        rest().await;
        assert_heard(&mut page, &[]).await;
        let told = page.member.tell(Some("hello".into()), Some("bye".into()));
        told.await.unwrap();
        let news = [r#"{"light":"led","level":7}"#, r#"{"pages":1}"#];
        assert_heard(&mut page, &["hello", news[0], news[1], "bye"]).await;
    }

    #[tokio::test(start_paused = true)]
    async fn every_page_of_many_is_told_every_change_and_how_far_it_was_seen() {
        // More than the runtime lets a task write to in one turn.
        const MANY: usize = 300;
        let hub = Telling::new();
        let mut pages = Vec::new();
        for _ in 0..MANY {
            pages.push(hub.join(FAST));
        }
        for page in &mut pages {
            page.member.tell(None, None).await.unwrap();
            let first = r#"{"light":"led","level":50}"#;
            assert_heard(page, &[first, r#"{"pages":300}"#]).await;
        }
        pages[1].member.shown().seen = Some(4);
        for level in [1, 2] {
            hub.set(level);
            rest().await;
            for (number, page) in pages.iter_mut().enumerate() {
                let seen = if number == 1 { r#","seen":4"# } else { "" };
                let news = format!(r#"{{"light":"led","level":{level}{seen}}}"#);
                assert_heard(page, &[&news]).await;
                assert!(page.member.behind().now_or_never().is_none());
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_page_that_shows_the_level_is_told_nothing() {
        let hub = Telling::new();
        let mut one = hub.page(FAST).await;
        {
            let mut shown = one.member.shown();
            hub.set(1);
            shown.set(0, Some(&hub.0.hub.lights.state(0)));
        }
        rest().await;
        assert_heard(&mut one, &[]).await;
        one.member.shown().set(0, None);
        one.member.tell(None, None).await.unwrap();
        assert_heard(&mut one, &[r#"{"light":"led","level":1}"#]).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_page_that_does_not_take_all_is_left_to_its_own_task_until_it_has() {
        let hub = Telling::new();
        let mut slow = hub.page(SLOW).await;
        for level in [1, 2, 3] {
            hub.set(level);
            rest().await;
        }
        let behind = timeout(STALL, slow.member.behind());
        behind.await.expect("its own task is not woken");
        let Page { member, ear, .. } = &mut slow;
        // What was begun is ended; of the rest, only the newest counts.
        let (told, ()) = tokio::join!(member.tell(None, None), async {
            assert_eq!(hear(ear).await, r#"{"light":"led","level":1}"#);
            assert_eq!(hear(ear).await, r#"{"light":"led","level":3}"#);
        });
        told.unwrap();
        assert_heard(&mut slow, &[]).await;

        // It has all, so the loop begins again.
        hub.set(4);
        let mut begin = [0; SLOW];
        let begun = timeout(STALL, slow.ear.read_exact(&mut begin)).await;
        begun.expect("it is told no more").unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_page_that_is_gone_or_takes_nothing_is_an_error() {
        let hub = Telling::new();
        let start = Instant::now();
        let silent = hub.join(SLOW);
        assert!(silent.member.tell(None, None).await.is_err());
        assert_eq!(start.elapsed().as_secs(), STALL.as_secs());

        let gone = hub.page(FAST).await;
        drop(gone.ear);
        hub.set(1);
        let behind = timeout(STALL, gone.member.behind());
        behind.await.expect("its own task is not woken");
        assert!(gone.member.tell(None, None).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn who_left_is_told_no_more_and_its_connection_ends() {
        let hub = Telling::new();
        let mut page = hub.page(FAST).await;
        drop(page.member);
        hub.set(1);
        let end = timeout(STALL, page.ear.read_u8()).await;
        end.expect("it is kept").expect_err("it is told more");
    }
}
