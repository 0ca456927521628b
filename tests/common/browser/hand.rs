//! What people do to a window: a finger or a mouse, and the keyboard.

use serde_json::{Value, json};

use super::{Kind, Session, Window};
use crate::common::until;

#[derive(Clone, Copy)]
pub enum Hand {
    Finger,
    Mouse,
}

impl Hand {
    /// The width and the height of a window, in pixels.
    pub fn window(self) -> (u32, u32) {
        match self {
            Hand::Finger => (390, 844),
            Hand::Mouse => (1280, 800),
        }
    }

    /// What WebDriver calls it.
    fn pointer(self) -> &'static str {
        match self {
            Hand::Finger => "touch",
            Hand::Mouse => "mouse",
        }
    }
}

#[derive(Clone, Copy)]
pub enum Motion {
    Down,
    Move,
    Up,
}

/// The track of a light, as it is when a hand presses it.
#[derive(Clone, Copy)]
pub struct Track {
    is_tile: bool,
    /// The way of the grip, in pixels.
    travel: f64,
    /// In percent.
    level: f64,
}

impl Window {
    /// Where the middle of the element is in the window.
    pub async fn middle(&self, selector: &str) -> (f64, f64) {
        let middle = "((box) => [box.x + box.width / 2, box.y + box.height / 2])";
        let element = format!("document.querySelector('{selector}')");
        let middle = format!("{middle}({element}.getBoundingClientRect())");
        serde_json::from_value(self.eval(&middle).await).unwrap()
    }

    /// Waits until the page has the element.
    pub async fn has(&self, selector: &str) {
        let is_there = format!("!!document.querySelector('{selector}')");
        until(selector, async || self.eval(&is_there).await == true).await;
    }

    /// Puts the finger down on the middle of the element, once it is there, or presses the mouse's button there.
    pub async fn press(&self, selector: &str) {
        self.has(selector).await;
        self.place.set(self.middle(selector).await);
        let section = format!("document.querySelector('{selector}').closest('section')");
        self.eval(&format!("window.pressed = {section}")).await;
        // Now, as a hand that is down and does not move for a while holds what it pressed.
        self.pressed.set(self.track().await);
        self.touch(Motion::Down).await;
    }

    /// The track of the light that the hand pressed, if it pressed one.
    async fn track(&self) -> Option<Track> {
        let track = "(([track, input]) => {
            if (!track) return null;
            const isTile = input.getAttribute('aria-orientation') === 'horizontal';
            const { offsetWidth, offsetHeight } = track;
            return [isTile, (isTile ? offsetWidth : offsetHeight) - 28, input.valueAsNumber];
        })(['.track', 'input'].map((part) => window.pressed?.querySelector(part)))";
        let track: Option<(bool, f64, f64)> =
            serde_json::from_value(self.eval(track).await).unwrap();
        track.map(|(is_tile, travel, level)| Track {
            is_tile,
            travel,
            level,
        })
    }

    /// Moves the hand along the track that it pressed, upwards or on a tile to the right, in many small steps, by as
    /// much as changes the level by this many percent. First by the few pixels that tell a drag from a tap, which
    /// change nothing.
    pub async fn slide(&self, percent: f64) {
        const SLOP: f64 = 20.0;
        let pressed = self.pressed.take();
        let is_first = pressed.is_some();
        let track = match pressed {
            Some(track) => track,
            None => self.track().await.expect("a light's track is pressed"),
        };
        let along = |pixels: f64| {
            if track.is_tile {
                (pixels, 0.0)
            } else {
                (0.0, pixels)
            }
        };
        if is_first {
            let (right, up) = along(SLOP.copysign(percent));
            self.swipe_in(1, right, up).await;
            // Or a busy browser makes one event of this move and the next.
            self.frames().await;
        }
        // Not far past the end of the track, where the window may end.
        let to = place_of(track.level + percent).clamp(-0.05, 1.05);
        let (right, up) = along(track.travel * (to - place_of(track.level)));
        self.swipe_in(20, right, up).await;
        self.frames().await;
    }

    /// Moves the hand by this many pixels to the right and up, in steps as long as those of a quick finger.
    pub async fn swipe(&self, right: f64, up: f64) {
        self.swipe_in(12, right, up).await;
        self.frames().await;
    }

    /// Waits for two frames, by when the page has handled what the hand did.
    pub async fn frames(&self) {
        self.eval(
            "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))",
        )
        .await;
    }

    async fn swipe_in(&self, steps: u8, right: f64, up: f64) {
        let (x, y) = self.place.get();
        for step in 1..=steps {
            let part = f64::from(step) / f64::from(steps);
            self.place.set((x + right * part, y - up * part));
            self.touch(Motion::Move).await;
        }
    }

    pub async fn release(&self) {
        self.touch(Motion::Up).await;
    }

    /// Taps or clicks the element.
    pub async fn tap(&self, selector: &str) {
        self.press(selector).await;
        self.release().await;
    }

    async fn touch(&self, motion: Motion) {
        match self.kind {
            Kind::Chromium => self.touch_in_chromium(motion).await,
            Kind::Firefox => self.touch_by_actions(motion, self.hand.pointer()).await,
            // It has no touchscreen.
            Kind::WebKit => self.touch_by_actions(motion, "mouse").await,
        }
    }

    async fn touch_by_actions(&self, motion: Motion, pointer: &str) {
        let (x, y) = self.place.get();
        let move_to = json!({"type": "pointerMove", "x": x.round(), "y": y.round(), "duration": 0});
        let actions = match motion {
            Motion::Down => json!([move_to, {"type": "pointerDown", "button": 0}]),
            Motion::Move => json!([move_to]),
            Motion::Up => json!([{"type": "pointerUp", "button": 0}]),
        };
        self.act(json!({
            "type": "pointer", "id": pointer, "parameters": {"pointerType": pointer}, "actions": actions,
        }))
        .await;
        // No hand is faster than the frames; the driver is.
        if let Motion::Move = motion {
            self.run("return new Promise(requestAnimationFrame)").await;
        }
    }

    /// Presses a key and lets go of it; the characters of special keys are the constants below.
    pub async fn key(&self, key: char) {
        if let Session::Chromium(tab) = &self.session {
            return tab.key(key).await;
        }
        let strokes = json!([{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]);
        self.act(json!({"type": "key", "id": "keyboard", "actions": strokes}))
            .await;
    }
}

/// Where on its track the page shows a level, from 0 to 1; the first 10 percent have a quarter of it.
fn place_of(level: f64) -> f64 {
    if level < 10.0 {
        level / 40.0
    } else {
        0.25 + (level - 10.0) / 120.0
    }
}

/// What WebDriver calls the keys.
pub const TAB: char = '\u{e004}';
pub const ENTER: char = '\u{e006}';
pub const ESCAPE: char = '\u{e00c}';
pub const PAGE_UP: char = '\u{e00e}';
pub const PAGE_DOWN: char = '\u{e00f}';
pub const END: char = '\u{e010}';
pub const HOME: char = '\u{e011}';
pub const LEFT: char = '\u{e012}';
pub const UP: char = '\u{e013}';
pub const RIGHT: char = '\u{e014}';
pub const DOWN: char = '\u{e015}';

/// What the web calls a key that has no character, and its number there.
pub fn named(key: char) -> Option<(&'static str, u32)> {
    Some(match key {
        TAB => ("Tab", 9),
        ENTER => ("Enter", 13),
        ESCAPE => ("Escape", 27),
        PAGE_UP => ("PageUp", 33),
        PAGE_DOWN => ("PageDown", 34),
        END => ("End", 35),
        HOME => ("Home", 36),
        LEFT => ("ArrowLeft", 37),
        UP => ("ArrowUp", 38),
        RIGHT => ("ArrowRight", 39),
        DOWN => ("ArrowDown", 40),
        _ => return None,
    })
}
