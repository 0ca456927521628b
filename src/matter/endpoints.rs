//! The endpoints of the lights.

use std::sync::Arc;

use rs_matter::dm::EndptId;

use crate::model::hub::Hub;
use crate::model::lights::LightId;

/// The endpoint that lists the lights.
pub const AGGREGATOR: EndptId = 1;
/// The first one of a light.
pub const FIRST_LIGHT: EndptId = 2;

/// The light of each endpoint.
#[derive(Clone)]
pub struct Endpoints {
    hub: Arc<Hub>,
    /// In the order of the numbers.
    lights: Vec<(EndptId, LightId)>,
}

impl Endpoints {
    pub fn new<'a>(hub: Arc<Hub>, numbers: impl Iterator<Item = (&'a str, EndptId)>) -> Endpoints {
        let lights = numbers.filter_map(|(name, number)| Some((number, hub.lights.find(name)?)));
        let mut lights: Vec<_> = lights.collect();
        lights.sort();
        Endpoints { hub, lights }
    }

    /// The light of an endpoint.
    pub fn light(&self, endpoint: EndptId) -> Option<LightId> {
        let mut lights = self.lights.iter();
        lights.find_map(|(number, light)| (*number == endpoint).then_some(*light))
    }

    /// The lights that are shown now, with their endpoints.
    pub fn shown(&self) -> Vec<(EndptId, LightId)> {
        let states = self.hub.lights.states();
        let is_shown = |(_, light): &&(EndptId, LightId)| !states[light.index()].settings.hidden;
        self.lights.iter().filter(is_shown).copied().collect()
    }
}
