//! The light that a client has selected, for clients that have only arrow keys.

use crate::model::lights::{LightId, Lights};
use crate::protocol::request::Direction;

/// The selected light.
pub struct Selection(LightId);

impl Selection {
    /// The first visible light, or the first of all.
    pub fn new(lights: &Lights) -> Selection {
        let visible = lights.ids().find(|light| !lights.settings(*light).hidden);
        Selection(visible.unwrap_or(LightId::FIRST))
    }

    /// The selected light.
    pub fn light(&self) -> LightId {
        self.0
    }

    /// Selects the next visible light in this direction; after the last comes the first.
    pub fn move_by(&mut self, direction: Direction, lights: &Lights) {
        let mut ids: Vec<_> = lights.ids().collect();
        if direction == Direction::Left {
            ids.reverse();
        }
        let selected = ids.iter().position(|light| *light == self.0);
        ids.rotate_left(selected.unwrap_or_default());
        let mut others = ids.into_iter().skip(1);
        if let Some(next) = others.find(|light| !lights.settings(*light).hidden) {
            self.0 = next;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::level::Level;
    use crate::model::lights::{Light, LightState};
    use crate::model::settings::LightSettings;

    /// Lights, each hidden or not.
    fn lights(hidden: &[bool]) -> Lights {
        let all = hidden.iter().map(|hidden| {
            let settings = LightSettings {
                hidden: *hidden,
                ..LightSettings::default()
            };
            let state = LightState::new(Level::HALF, Level::HALF).with(settings);
            (Light::simulated("led"), state)
        });
        Lights::new(all.collect())
    }

    #[test]
    fn after_the_last_visible_light_comes_the_first() {
        let lights = lights(&[true, false, false, true, false]);
        let mut selection = Selection::new(&lights);
        let mut select = |direction| {
            selection.move_by(direction, &lights);
            selection.light().index()
        };
        assert_eq!([(); 4].map(|()| select(Direction::Right)), [2, 4, 1, 2]);
        assert_eq!([(); 4].map(|()| select(Direction::Left)), [1, 4, 2, 1]);
    }

    #[test]
    fn the_selection_stays_where_there_is_no_other_visible_light() {
        for hidden in [&[false][..], &[true], &[true, true], &[false, true]] {
            let lights = lights(hidden);
            let mut selection = Selection::new(&lights);
            selection.move_by(Direction::Left, &lights);
            selection.move_by(Direction::Right, &lights);
            assert_eq!(selection.light(), LightId::FIRST, "{hidden:?}");
        }
    }
}
