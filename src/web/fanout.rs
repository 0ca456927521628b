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
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::protocol::frame::FrameHeader;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use super::crowd::Crowd;
use super::line::Line;
use crate::level::Level;
use crate::lights::{LightState, Lights};
use crate::wire::{Answer, FaultOf};

/// Pages told before others get their turn: what they have to say is heard that soon.
const AT_ONCE: usize = 32;
/// Time that a page may take nothing: as long as it may say nothing.
pub const STALL: Duration = Duration::from_secs(30);

/// The pages, and what they are told of.
pub struct Fanout {
    lights: Arc<Lights>,
    crowd: Arc<Crowd>,
    screens: Mutex<BTreeMap<u64, Arc<Screen>>>,
}

/// What a page shows, and the way to it.
struct Screen {
    line: Line,
    shown: Mutex<Shown>,
    /// Wakes the page's own task when [`Shown::behind`] is set.
    behind: Notify,
}

/// What a page shows: what it last set, or was last told.
pub struct Shown {
    /// The last `seq` it sent, once it has sent one.
    pub seen: Option<u64>,
    lights: Vec<ShownLight>,
    pages: usize,
    /// Whether it has not taken all yet. Until it has, only its own task tells it anything.
    behind: bool,
}

#[derive(Clone, Default)]
struct ShownLight {
    /// `None`: not known, so it is to be told.
    level: Option<Level>,
    fault: Option<Arc<str>>,
}

/// The frame about each light's level, made once a change for all pages that use no `seq`.
#[derive(Default)]
struct Frames(Vec<(u64, Vec<u8>)>);

impl Fanout {
    /// For the pages of this crowd.
    pub fn new(lights: Arc<Lights>, crowd: Arc<Crowd>) -> Arc<Fanout> {
        Arc::new(Fanout {
            lights,
            crowd,
            screens: Mutex::default(),
        })
    }

    /// Takes a page in. It is told nothing before its first [`Member::tell`].
    pub fn join(self: &Arc<Fanout>, page: u64, line: Line) -> Member {
        let screen = Arc::new(Screen {
            line,
            shown: Mutex::new(Shown {
                seen: None,
                lights: vec![ShownLight::default(); self.lights.list().len()],
                pages: 0,
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
        let (mut lights, mut crowd) = (self.lights.watch(), self.crowd.watch());
        let (mut frames, mut out) = (Frames::default(), Vec::new());
        loop {
            tokio::select! {
                // Neither fails: `self` holds what their senders live in.
                _ = lights.changed() => {}
                _ = crowd.changed() => {}
            }
            let mut told = Some(0);
            while let Some(last) = told {
                told = self.tell_some(last, &mut frames, &mut out);
                task::yield_now().await;
            }
        }
    }

    /// Tells the next pages after this one, and says which was the last of them, if there was any.
    fn tell_some(&self, after: u64, frames: &mut Frames, out: &mut Vec<u8>) -> Option<u64> {
        let screens = self.screens();
        let next = screens.range((Excluded(after), Unbounded)).take(AT_ONCE);
        next.map(|(page, screen)| {
            screen.tell(self, frames, out);
            *page
        })
        .last()
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
    /// The page shows this level of a light now; or something that is not known.
    pub fn set(&mut self, light: usize, level: Option<Level>) {
        self.lights[light].level = level;
    }

    /// Adds the frames about what the page does not show yet, and takes it as shown.
    fn news(&mut self, fanout: &Fanout, frames: &mut Frames, out: &mut Vec<u8>) {
        let lights = fanout.lights.list();
        let states = fanout.lights.states();
        for (index, (light, state)) in lights.iter().zip(&*states).enumerate() {
            let shown = &mut self.lights[index];
            if shown.level != Some(state.level) {
                shown.level = Some(state.level);
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
                frame(&Answer::Fault { fault }.to_json(), out);
            }
        }
        let pages = fanout.crowd.all();
        if self.pages != pages {
            self.pages = pages;
            frame(&Answer::Pages { pages }.to_json(), out);
        }
    }
}

impl Frames {
    fn level(&mut self, index: usize, name: &str, state: &LightState) -> &[u8] {
        if self.0.len() <= index {
            self.0.resize_with(index + 1, Default::default);
        }
        let (revision, made) = &mut self.0[index];
        if made.is_empty() || *revision != state.revision {
            *revision = state.revision;
            made.clear();
            frame(&level(name, state, None), made);
        }
        made
    }
}

fn level(light: &str, state: &LightState, seen: Option<u64>) -> String {
    let (level, by) = (state.level, state.by.as_deref());
    let answer = Answer::Level {
        light,
        level,
        by,
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
