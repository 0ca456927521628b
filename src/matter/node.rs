//! What the bridge says that it is: an endpoint that lists the lights, and one for each light that is not hidden.

use rs_matter::dm::clusters::decl::bridged_device_basic_information::ClusterHandler as _;
use rs_matter::dm::clusters::decl::identify::ClusterHandler as _;
use rs_matter::dm::clusters::decl::level_control::ClusterHandler as _;
use rs_matter::dm::clusters::decl::on_off::ClusterHandler as _;
use rs_matter::dm::clusters::desc::{ClusterHandler as _, DescHandler};
use rs_matter::dm::clusters::groups::{ClusterHandler as _, GroupsHandler};
use rs_matter::dm::devices::{DEV_TYPE_AGGREGATOR, DEV_TYPE_BRIDGED_NODE, DEV_TYPE_DIMMABLE_LIGHT};
use rs_matter::dm::{Endpoint, EndptId, Metadata, Node};
use rs_matter::{clusters, devices, root_endpoint};

use super::bridged_info::BridgedInfo;
use super::endpoints::{AGGREGATOR, Endpoints};
use super::identify::Identify;
use super::level_control::LevelControl;
use super::on_off::OnOff;

/// The bridge with the lights that are shown at the moment.
pub struct BridgeNode(pub Endpoints);

impl Metadata for BridgeNode {
    fn access<F, R>(&self, f: F) -> R
    where
        F: FnOnce(&Node<'_>) -> R,
    {
        let lights = self.0.shown();
        let lights = lights.iter().map(|(number, _)| light_endpoint(*number));
        let endpoints: Vec<_> = [ROOT, AGGREGATOR_ENDPOINT]
            .into_iter()
            .chain(lights)
            .collect();
        f(&Node::new(&endpoints))
    }
}

const ROOT: Endpoint<'static> = root_endpoint!(eth);

const AGGREGATOR_ENDPOINT: Endpoint<'static> = Endpoint::new(
    AGGREGATOR,
    devices!(DEV_TYPE_AGGREGATOR),
    clusters!(DescHandler::CLUSTER),
);

const fn light_endpoint(number: EndptId) -> Endpoint<'static> {
    Endpoint::new(
        number,
        devices!(DEV_TYPE_DIMMABLE_LIGHT, DEV_TYPE_BRIDGED_NODE),
        clusters!(
            DescHandler::CLUSTER,
            Identify::CLUSTER,
            GroupsHandler::CLUSTER,
            OnOff::CLUSTER,
            LevelControl::CLUSTER,
            BridgedInfo::CLUSTER,
        ),
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::activity::Activity;
    use crate::model::hub::Hub;
    use crate::model::level::Level;
    use crate::model::lights::{Light, LightId, LightState, Lights};

    fn hub(names: &[&str]) -> Arc<Hub> {
        let light = |name: &&str| {
            let state = LightState::new(Level::OFF, Level::HALF);
            (Light::simulated(name), state)
        };
        let lights = Lights::new(names.iter().map(light).collect());
        Arc::new(Hub::new(lights, Activity::new(true)))
    }

    #[test]
    fn a_hidden_light_has_no_endpoint() {
        let hub = hub(&["desk", "shelf"]);
        let node = BridgeNode(Endpoints::new(
            hub.clone(),
            [("desk", 2), ("shelf", 3)].into_iter(),
        ));
        let ids = || node.access(|node| node.endpoints.iter().map(|e| e.id).collect::<Vec<_>>());
        assert_eq!(ids(), [0, 1, 2, 3]);
        let hidden = crate::model::settings::LightSettings {
            hidden: true,
            ..Default::default()
        };
        hub.configure_light(LightId::FIRST, &hidden);
        assert_eq!(ids(), [0, 1, 3]);
    }
}
