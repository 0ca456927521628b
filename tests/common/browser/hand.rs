//! What people do to a window: a finger or a mouse, and the keyboard.

use serde_json::{Value, json};

use super::{Kind, Window};

#[derive(Clone, Copy)]
pub enum Hand {
    Finger,
    Mouse,
}

#[derive(Clone, Copy)]
pub enum Motion {
    Down,
    Move,
    Up,
}

impl Window {
    /// Puts the finger down on the middle of the element, or presses the mouse's button there.
    pub async fn press(&self, selector: &str) {
        let middle = "((box) => [box.x + box.width / 2, box.y + box.height / 2])";
        let element = format!("document.querySelector('{selector}')");
        let middle = format!("{middle}({element}.getBoundingClientRect())");
        let middle = serde_json::from_value(self.eval(&middle).await).unwrap();
        self.place.set(middle);
        self.touch(Motion::Down).await;
    }

    /// Moves the hand upwards, in many small steps, by this percentage of the light's track.
    pub async fn slide(&self, light: &str, percent: f64) {
        const STEPS: i32 = 20;
        let track = format!("document.querySelector('[data-light=\"{light}\"] .track')");
        let height = self.eval(&format!("{track}.offsetHeight")).await;
        let way = height.as_f64().unwrap() * percent / 100.0;
        let (x, y) = self.place.get();
        for step in 1..=STEPS {
            let part = f64::from(step) / f64::from(STEPS);
            self.place.set((x, y - way * part));
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
            Kind::WebKit => self.touch_in_webkit(motion).await,
        }
    }

    /// Presses a key and lets go of it; the characters of special keys are the constants below.
    pub async fn key(&self, key: char) {
        let strokes = json!([{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]);
        let keyboard = json!({"type": "key", "id": "keyboard", "actions": strokes});
        self.call("/actions", json!({"actions": [keyboard]})).await;
    }
}

/// What WebDriver calls the keys.
pub const PAGE_UP: char = '\u{e00e}';
pub const PAGE_DOWN: char = '\u{e00f}';
pub const END: char = '\u{e010}';
pub const HOME: char = '\u{e011}';
pub const LEFT: char = '\u{e012}';
pub const UP: char = '\u{e013}';
pub const RIGHT: char = '\u{e014}';
pub const DOWN: char = '\u{e015}';
