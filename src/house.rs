//! What the service keeps, for all who change it and all who follow it: [`House`].

use std::sync::Arc;

use crate::activity::Activity;
use crate::fleet::Fleet;
use crate::lights::Lights;
use crate::presets::Presets;
use crate::timers::Timers;

/// The lights, and what people have made of them.
pub struct House {
    /// The lights.
    pub lights: Arc<Lights>,
    /// Names for what they are set to.
    pub presets: Presets,
    /// What is to happen to them at a time.
    pub timers: Timers,
    /// Who is here, and who did what.
    pub activity: Arc<Activity>,
    /// Lights of other dimmers.
    pub fleet: Fleet,
}

#[cfg(test)]
impl House {
    /// With these lights, and nothing else yet.
    pub(crate) fn of(lights: Lights) -> Arc<House> {
        Arc::new(House {
            lights: Arc::new(lights),
            presets: Presets::new(Default::default()),
            timers: Timers::new(Vec::new(), None),
            activity: Activity::new(true),
            fleet: Fleet::default(),
        })
    }
}
