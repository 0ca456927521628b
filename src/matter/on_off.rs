//! The On/Off cluster of a light.

use std::time::Duration;

use rs_matter::dm::clusters::decl::on_off::{
    AttributeId, ClusterHandler, CommandId, EffectIdentifierEnum, FULL_CLUSTER, Feature,
    HandlerAdaptor, OffWithEffectRequest, OnOffControlBitmap, OnWithTimedOffRequest,
    StartUpOnOffEnum,
};
use rs_matter::dm::{Cluster, Dataver, InvokeContext, OperationContext, ReadContext, WriteContext};
use rs_matter::error::{Error, ErrorCode};
use rs_matter::tlv::Nullable;
use rs_matter::with;
use serde_json::json;
use tokio::time::Instant;

use super::bridge::MatterBridge;
use super::level::from_matter;
use crate::model::level::Level;
use crate::model::lights::{Change, LightId, LightState};
use crate::model::settings::OnStart;

/// Shows and switches lights.
pub struct OnOff<'a> {
    bridge: &'a MatterBridge,
    dataver: Dataver,
}

impl<'a> OnOff<'a> {
    pub fn new(bridge: &'a MatterBridge, dataver: Dataver) -> OnOff<'a> {
        OnOff { bridge, dataver }
    }

    pub fn adapt(self) -> HandlerAdaptor<OnOff<'a>> {
        HandlerAdaptor(self)
    }

    fn read(&self, context: &impl ReadContext) -> Result<(LightId, LightState), Error> {
        let light = self.bridge.light(context.attr().endpoint_id)?;
        Ok((light, self.bridge.state(light)))
    }

    fn invoked(&self, context: &impl InvokeContext) -> Result<(LightId, LightState), Error> {
        let light = self.bridge.light(context.cmd().endpoint_id)?;
        Ok((light, self.bridge.state(light)))
    }

    /// Switches a light on: to the level that "on" is set to, or that was set while it is off, or the last one.
    fn switch_on(
        &self,
        context: &impl OperationContext,
        light: LightId,
        state: &LightState,
    ) -> Result<(), Error> {
        if !state.level.is_off() {
            return Ok(());
        }
        let chosen = self.bridge.passing(light, |passing| passing.chosen);
        let chosen = chosen.filter(|(_, revision)| *revision == state.revision);
        let level = self
            .bridge
            .kept(light)
            .on_level
            .or(chosen.map(|(level, _)| level));
        let change = match level {
            Some(level) => Change::Level(from_matter(level)),
            None => Change::On(true),
        };
        self.bridge.change(context, light, change, None)
    }

    fn switch_off(&self, context: &impl OperationContext, light: LightId) -> Result<(), Error> {
        self.bridge.passing(light, |passing| {
            // It was to stay off for a time once it is off, which is now.
            if let (Some((until, _)), Some(end)) = (passing.timed_off.take(), passing.stays_off) {
                passing.stays_off = Some(Instant::now() + (end - until));
            }
        });
        self.bridge.change(context, light, Change::On(false), None)
    }
}

/// The tenths of a second until then; Matter has 16 bits for them.
fn tenths_until(until: Option<Instant>) -> u16 {
    let left = until.map(|until| until.saturating_duration_since(Instant::now()));
    let tenths = left.unwrap_or_default().as_millis().div_ceil(100);
    u16::try_from(tenths).unwrap_or(u16::MAX)
}

fn tenths(tenths: u16) -> Duration {
    Duration::from_millis(100 * u64::from(tenths))
}

impl ClusterHandler for OnOff<'_> {
    const CLUSTER: Cluster<'static> = FULL_CLUSTER
        .with_features(Feature::LIGHTING.bits())
        .with_attrs(with!(
            required;
            AttributeId::OnOff
                | AttributeId::GlobalSceneControl
                | AttributeId::OnTime
                | AttributeId::OffWaitTime
                | AttributeId::StartUpOnOff
        ))
        .with_cmds(with!(
            CommandId::Off
                | CommandId::On
                | CommandId::Toggle
                | CommandId::OffWithEffect
                | CommandId::OnWithRecallGlobalScene
                | CommandId::OnWithTimedOff
        ));

    fn dataver(&self) -> u32 {
        self.dataver.get()
    }

    fn dataver_changed(&self) {
        self.dataver.changed();
    }

    fn on_off(&self, context: impl ReadContext) -> Result<bool, Error> {
        Ok(!self.read(&context)?.1.level.is_off())
    }

    /// There are no scenes.
    fn global_scene_control(&self, _: impl ReadContext) -> Result<bool, Error> {
        Ok(true)
    }

    fn on_time(&self, context: impl ReadContext) -> Result<u16, Error> {
        let (light, state) = self.read(&context)?;
        let timed_off = self.bridge.passing(light, |passing| passing.timed_off);
        let timed_off = timed_off.filter(|(_, revision)| *revision == state.revision);
        Ok(tenths_until(timed_off.map(|(until, _)| until)))
    }

    fn set_on_time(&self, context: impl WriteContext, value: u16) -> Result<(), Error> {
        let light = self.bridge.light(context.attr().endpoint_id)?;
        let state = self.bridge.state(light);
        let until = (value > 0 && !state.level.is_off())
            .then(|| (Instant::now() + tenths(value), state.revision));
        self.bridge
            .passing(light, |passing| passing.timed_off = until);
        self.bridge.wake.notify_one();
        context.notify_changed();
        Ok(())
    }

    fn off_wait_time(&self, context: impl ReadContext) -> Result<u16, Error> {
        let (light, _) = self.read(&context)?;
        Ok(tenths_until(
            self.bridge.passing(light, |passing| passing.stays_off),
        ))
    }

    fn set_off_wait_time(&self, context: impl WriteContext, value: u16) -> Result<(), Error> {
        let light = self.bridge.light(context.attr().endpoint_id)?;
        let until = (value > 0).then(|| Instant::now() + tenths(value));
        self.bridge
            .passing(light, |passing| passing.stays_off = until);
        context.notify_changed();
        Ok(())
    }

    fn start_up_on_off(
        &self,
        context: impl ReadContext,
    ) -> Result<Nullable<StartUpOnOffEnum>, Error> {
        let (_, state) = self.read(&context)?;
        Ok(match state.settings.on_start {
            OnStart::Restore => Nullable::none(),
            OnStart::Level(Level::OFF) => Nullable::some(StartUpOnOffEnum::Off),
            OnStart::Level(_) => Nullable::some(StartUpOnOffEnum::On),
        })
    }

    /// The setting `on_start`, which has no "toggle".
    fn set_start_up_on_off(
        &self,
        context: impl WriteContext,
        value: Nullable<StartUpOnOffEnum>,
    ) -> Result<(), Error> {
        let light = self.bridge.light(context.attr().endpoint_id)?;
        let state = self.bridge.state(light);
        let on_start = match (value.into_option(), state.settings.on_start) {
            (None, _) => json!("restore"),
            (Some(StartUpOnOffEnum::Off), _) => json!("off"),
            (Some(StartUpOnOffEnum::On), OnStart::Level(level)) if !level.is_off() => return Ok(()),
            (Some(StartUpOnOffEnum::On), _) => match state.level.is_off() {
                true => json!(state.last_on().percent()),
                false => json!(state.level.percent()),
            },
            (Some(StartUpOnOffEnum::Toggle), _) => return Err(ErrorCode::ConstraintError.into()),
        };
        self.bridge
            .change_setting(&context, light, "on_start", on_start)?;
        context.notify_changed();
        Ok(())
    }

    fn handle_off(&self, context: impl InvokeContext) -> Result<(), Error> {
        let (light, _) = self.invoked(&context)?;
        self.switch_off(&context, light)
    }

    fn handle_on(&self, context: impl InvokeContext) -> Result<(), Error> {
        let (light, state) = self.invoked(&context)?;
        self.bridge
            .passing(light, |passing| passing.stays_off = None);
        self.switch_on(&context, light, &state)
    }

    fn handle_toggle(&self, context: impl InvokeContext) -> Result<(), Error> {
        let (light, state) = self.invoked(&context)?;
        match state.level.is_off() {
            true => self.switch_on(&context, light, &state),
            false => self.switch_off(&context, light),
        }
    }

    /// The effects fade out in 0.8 to 12 s, except for one that is none.
    fn handle_off_with_effect(
        &self,
        context: impl InvokeContext,
        request: OffWithEffectRequest<'_>,
    ) -> Result<(), Error> {
        let (light, _) = self.invoked(&context)?;
        let fade = match (request.effect_identifier()?, request.effect_variant()?) {
            (EffectIdentifierEnum::DelayedAllOff, 1) => Duration::ZERO,
            (EffectIdentifierEnum::DelayedAllOff, 2) => Duration::from_millis(12_800),
            (EffectIdentifierEnum::DelayedAllOff, _) => Duration::from_millis(800),
            (EffectIdentifierEnum::DyingLight, _) => Duration::from_millis(1_500),
        };
        self.bridge
            .change(&context, light, Change::On(false), Some(fade))
    }

    /// Nothing, as there are no scenes and [`ClusterHandler::global_scene_control`] is always true.
    fn handle_on_with_recall_global_scene(&self, _: impl InvokeContext) -> Result<(), Error> {
        Ok(())
    }

    fn handle_on_with_timed_off(
        &self,
        context: impl InvokeContext,
        request: OnWithTimedOffRequest<'_>,
    ) -> Result<(), Error> {
        let (light, state) = self.invoked(&context)?;
        let (on_time, wait) = (tenths(request.on_time()?), tenths(request.off_wait_time()?));
        let only_if_on = request
            .on_off_control()?
            .contains(OnOffControlBitmap::ACCEPT_ONLY_WHEN_ON);
        if only_if_on && state.level.is_off() {
            return Ok(());
        }
        let now = Instant::now();
        let stays_off = self.bridge.passing(light, |passing| passing.stays_off);
        if state.level.is_off() && stays_off.is_some_and(|until| now < until) {
            let sooner = stays_off.map(|until| until.min(now + wait));
            self.bridge
                .passing(light, |passing| passing.stays_off = sooner);
            return Ok(());
        }
        self.switch_on(&context, light, &state)?;
        let revision = self.bridge.state(light).revision;
        self.bridge.passing(light, |passing| {
            let until = now + on_time;
            let until = match passing.timed_off {
                Some((later, at)) if at == state.revision => until.max(later),
                _ => until,
            };
            passing.timed_off = Some((until, revision));
            passing.stays_off = (!wait.is_zero()).then_some(until + wait);
        });
        self.bridge.wake.notify_one();
        Ok(())
    }
}
