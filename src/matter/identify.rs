//! The Identify cluster of a light: it blinks, no faster than is safe, so that people see which one it is.

use std::time::Duration;

use rs_matter::dm::clusters::decl::identify::{
    AttributeId, ClusterHandler, EffectIdentifierEnum, FULL_CLUSTER, HandlerAdaptor,
    IdentifyRequest, IdentifyTypeEnum, TriggerEffectRequest,
};
use rs_matter::dm::{Cluster, Dataver, InvokeContext, OperationContext, ReadContext, WriteContext};
use rs_matter::error::Error;
use rs_matter::with;
use tokio::time::Instant;

use super::bridge::MatterBridge;
use crate::model::command::{Command, Outcome};
use crate::model::lights::LightId;

/// How long an effect that has no time blinks.
const EFFECT: Duration = Duration::from_secs(2);

/// Lets lights blink.
pub struct Identify<'a> {
    bridge: &'a MatterBridge,
    dataver: Dataver,
}

impl<'a> Identify<'a> {
    pub fn new(bridge: &'a MatterBridge, dataver: Dataver) -> Identify<'a> {
        Identify { bridge, dataver }
    }

    pub fn adapt(self) -> HandlerAdaptor<Identify<'a>> {
        HandlerAdaptor(self)
    }

    /// Lets a light blink for this time from now on, or ends that.
    fn blink(
        &self,
        context: &impl OperationContext,
        light: LightId,
        time: Duration,
    ) -> Result<(), Error> {
        let running = self
            .bridge
            .passing(light, |passing| passing.identifies.take());
        let revision = self.bridge.state(light).revision;
        let running = running.map(|(_, flash)| flash);
        let running = running.filter(|flash| flash.is_of(revision));
        let flash = match (running, time.is_zero()) {
            (Some(flash), true) => {
                self.bridge.execute(context, Command::EndFlash(flash))?;
                None
            }
            (None, true) => None,
            (Some(flash), false) => Some(flash),
            (None, false) => match self.bridge.execute(context, Command::Flash(light))? {
                Outcome::Flash(flash) => Some(flash),
                _ => None,
            },
        };
        let identifies = flash.map(|flash| (Instant::now() + time, flash));
        self.bridge
            .passing(light, |passing| passing.identifies = identifies);
        self.bridge.wake.notify_one();
        Ok(())
    }
}

impl ClusterHandler for Identify<'_> {
    const CLUSTER: Cluster<'static> = FULL_CLUSTER.with_attrs(with!(required));

    fn dataver(&self) -> u32 {
        self.dataver.get()
    }

    fn dataver_changed(&self) {
        self.dataver.changed();
    }

    fn identify_time(&self, context: impl ReadContext) -> Result<u16, Error> {
        let light = self.bridge.light(context.attr().endpoint_id)?;
        Ok(self.bridge.identify_seconds(light))
    }

    fn identify_type(&self, _: impl ReadContext) -> Result<IdentifyTypeEnum, Error> {
        Ok(IdentifyTypeEnum::LightOutput)
    }

    fn set_identify_time(&self, context: impl WriteContext, value: u16) -> Result<(), Error> {
        let light = self.bridge.light(context.attr().endpoint_id)?;
        self.blink(&context, light, Duration::from_secs(value.into()))?;
        context.notify_changed();
        Ok(())
    }

    fn handle_identify(
        &self,
        context: impl InvokeContext,
        request: IdentifyRequest<'_>,
    ) -> Result<(), Error> {
        let light = self.bridge.light(context.cmd().endpoint_id)?;
        let time = Duration::from_secs(request.identify_time()?.into());
        self.blink(&context, light, time)?;
        context.notify_own_attr_changed(AttributeId::IdentifyTime as _);
        Ok(())
    }

    /// All effects blink.
    fn handle_trigger_effect(
        &self,
        context: impl InvokeContext,
        request: TriggerEffectRequest<'_>,
    ) -> Result<(), Error> {
        let light = self.bridge.light(context.cmd().endpoint_id)?;
        let time = match request.effect_identifier()? {
            EffectIdentifierEnum::StopEffect | EffectIdentifierEnum::FinishEffect => Duration::ZERO,
            _ => EFFECT,
        };
        self.blink(&context, light, time)
    }
}
