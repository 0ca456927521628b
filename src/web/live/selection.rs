//! The light that a page has selected, for pages that have no more than arrows.

use crate::model::lights::Light;
use crate::protocol::Direction;

/// The index of a light.
pub struct Selection(usize);

impl Selection {
    /// The first visible light, or the first of all.
    pub fn new(lights: &[Light]) -> Selection {
        let visible = lights.iter().position(|light| !light.hidden);
        Selection(visible.unwrap_or_default())
    }

    /// The light's index.
    pub fn light(&self) -> usize {
        self.0
    }

    /// Goes on to the visible light beside this one, round and round.
    pub fn go(&mut self, direction: Direction, lights: &[Light]) {
        let count = lights.len();
        let away = |steps| match direction {
            Direction::Left => (self.0 + count - steps) % count,
            Direction::Right => (self.0 + steps) % count,
        };
        let mut others = (1..count).map(away);
        if let Some(next) = others.find(|light| !lights[*light].hidden) {
            self.0 = next;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::lights::Lights;

    /// Lights of which those marked are hidden.
    fn lights(hidden: &[bool]) -> Vec<Light> {
        let led = Lights::led().list()[0].clone();
        let light = |hidden: &bool| Light {
            hidden: *hidden,
            ..led.clone()
        };
        hidden.iter().map(light).collect()
    }

    #[test]
    fn it_goes_round_and_round_the_visible_lights() {
        let lights = lights(&[true, false, false, true, false]);
        let mut selection = Selection::new(&lights);
        let mut go = |direction| {
            selection.go(direction, &lights);
            selection.light()
        };
        assert_eq!([(); 4].map(|()| go(Direction::Right)), [2, 4, 1, 2]);
        assert_eq!([(); 4].map(|()| go(Direction::Left)), [1, 4, 2, 1]);
    }

    #[test]
    fn where_there_is_no_other_visible_light_it_stays() {
        for hidden in [&[false][..], &[true], &[true, true], &[false, true]] {
            let lights = lights(hidden);
            let mut selection = Selection::new(&lights);
            selection.go(Direction::Left, &lights);
            selection.go(Direction::Right, &lights);
            assert_eq!(selection.light(), 0, "{hidden:?}");
        }
    }
}
