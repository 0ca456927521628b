//! What the service keeps, for all who change it and all who follow it: [`Hub`].

use std::sync::Arc;

use crate::model::activity::Activity;
use crate::model::fleet::Fleet;
use crate::model::lights::Lights;
use crate::model::presets::Presets;
use crate::model::timers::Timers;

/// The lights, and what people have made of them.
pub struct Hub {
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
impl Hub {
    /// With these lights, and nothing else yet.
    pub(crate) fn of(lights: Lights) -> Arc<Hub> {
        Arc::new(Hub {
            lights: Arc::new(lights),
            presets: Presets::new(Default::default()),
            timers: Timers::new(Vec::new(), None),
            activity: Activity::new(true),
            fleet: Fleet::default(),
        })
    }
}
