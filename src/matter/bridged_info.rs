//! The Bridged Device Basic Information cluster of a light: its name, and whether its driver works.

use rs_matter::dm::clusters::decl::bridged_device_basic_information::{
    AttributeId, ClusterHandler, FULL_CLUSTER, HandlerAdaptor, KeepActiveRequest,
};
use rs_matter::dm::{Cluster, Dataver, InvokeContext, ReadContext, WriteContext};
use rs_matter::error::{Error, ErrorCode};
use rs_matter::tlv::{TLVBuilderParent, Utf8Str, Utf8StrBuilder};
use rs_matter::with;
use serde_json::{Value, json};

use super::bridge::MatterBridge;

/// Longest label and ID in bytes.
const MAX_LENGTH: usize = 32;

/// Describes lights.
pub struct BridgedInfo<'a> {
    bridge: &'a MatterBridge,
    /// What begins the unique ID of each light.
    id: &'a str,
    dataver: Dataver,
}

impl<'a> BridgedInfo<'a> {
    pub fn new(bridge: &'a MatterBridge, id: &'a str, dataver: Dataver) -> BridgedInfo<'a> {
        BridgedInfo {
            bridge,
            id,
            dataver,
        }
    }

    pub fn adapt(self) -> HandlerAdaptor<BridgedInfo<'a>> {
        HandlerAdaptor(self)
    }
}

/// The beginning of a text that has at most [`MAX_LENGTH`] bytes.
pub fn label(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_LENGTH)]
}

impl ClusterHandler for BridgedInfo<'_> {
    const CLUSTER: Cluster<'static> = FULL_CLUSTER
        .with_features(0)
        .with_attrs(with!(required; AttributeId::NodeLabel | AttributeId::UniqueID))
        .with_cmds(with!());

    fn dataver(&self) -> u32 {
        self.dataver.get()
    }

    fn dataver_changed(&self) {
        self.dataver.changed();
    }

    fn reachable(&self, context: impl ReadContext) -> Result<bool, Error> {
        let light = self.bridge.light(context.attr().endpoint_id)?;
        Ok(self.bridge.state(light).fault.is_none())
    }

    fn node_label<P: TLVBuilderParent>(
        &self,
        context: impl ReadContext,
        builder: Utf8StrBuilder<P>,
    ) -> Result<P, Error> {
        let light = self.bridge.light(context.attr().endpoint_id)?;
        let state = self.bridge.state(light);
        let title = self.bridge.hub.lights.light(light).title(&state.settings);
        builder.set(label(title))
    }

    /// The setting `title`; an empty label resets it.
    fn set_node_label(&self, context: impl WriteContext, value: Utf8Str<'_>) -> Result<(), Error> {
        let light = self.bridge.light(context.attr().endpoint_id)?;
        if value.len() > MAX_LENGTH {
            return Err(ErrorCode::ConstraintError.into());
        }
        let title = match value.is_empty() {
            true => Value::Null,
            false => json!(value),
        };
        self.bridge
            .change_setting(&context, light, "title", title)?;
        context.notify_changed();
        Ok(())
    }

    /// The serial number of this dimmer, and the endpoint.
    fn unique_id<P: TLVBuilderParent>(
        &self,
        context: impl ReadContext,
        builder: Utf8StrBuilder<P>,
    ) -> Result<P, Error> {
        let id = format!("{}-{}", self.id, context.attr().endpoint_id);
        builder.set(&id)
    }

    fn handle_keep_active(
        &self,
        _: impl InvokeContext,
        _: KeepActiveRequest<'_>,
    ) -> Result<(), Error> {
        Err(ErrorCode::CommandNotFound.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_ends_between_characters() {
        assert_eq!(label("Desk"), "Desk");
        let long = "ä".repeat(20);
        assert_eq!(label(&long), "ä".repeat(16));
        assert_eq!(
            label(&("a".to_owned() + &long)),
            "a".to_owned() + &"ä".repeat(15)
        );
    }
}
