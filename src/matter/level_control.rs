//! The Level Control cluster of a light.

use std::time::Duration;

use rs_matter::dm::clusters::decl::level_control::{
    AttributeId, ClusterHandler, CommandId, FULL_CLUSTER, Feature, HandlerAdaptor, MoveModeEnum,
    MoveRequest, MoveToClosestFrequencyRequest, MoveToLevelRequest, MoveToLevelWithOnOffRequest,
    MoveWithOnOffRequest, OptionsBitmap, StepModeEnum, StepRequest, StepWithOnOffRequest,
    StopRequest, StopWithOnOffRequest,
};
use rs_matter::dm::{Cluster, Dataver, InvokeContext, ReadContext, WriteContext};
use rs_matter::error::{Error, ErrorCode};
use rs_matter::tlv::Nullable;
use rs_matter::with;
use serde_json::json;
use tokio::time::Instant;

use super::bridge::{MatterBridge, executes_if_off, seen};
use super::level::{MAX, MIN, from_matter, to_matter};
use crate::model::level::Level;
use crate::model::lights::{Change, LightId, LightState};
use crate::model::settings::OnStart;
use crate::model::transition::MAX_TRANSITION;

/// Shows and sets levels.
pub struct LevelControl<'a> {
    bridge: &'a MatterBridge,
    dataver: Dataver,
}

/// The options of a command.
struct CommandOptions {
    /// Whether it may switch the light on and off.
    with_on_off: bool,
    mask: OptionsBitmap,
    value: OptionsBitmap,
}

impl CommandOptions {
    fn of(
        with_on_off: bool,
        mask: Result<OptionsBitmap, Error>,
        value: Result<OptionsBitmap, Error>,
    ) -> Result<CommandOptions, Error> {
        Ok(CommandOptions {
            with_on_off,
            mask: mask?,
            value: value?,
        })
    }
}

impl<'a> LevelControl<'a> {
    pub fn new(bridge: &'a MatterBridge, dataver: Dataver) -> LevelControl<'a> {
        LevelControl { bridge, dataver }
    }

    pub fn adapt(self) -> HandlerAdaptor<LevelControl<'a>> {
        HandlerAdaptor(self)
    }

    fn read(&self, context: &impl ReadContext) -> Result<LightId, Error> {
        self.bridge.light(context.attr().endpoint_id)
    }

    fn written(&self, context: &impl WriteContext) -> Result<LightId, Error> {
        self.bridge.light(context.attr().endpoint_id)
    }

    /// The light of a command, and its state, unless the light is off and the command is not for that.
    fn invoked(
        &self,
        context: &impl InvokeContext,
        options: &CommandOptions,
    ) -> Result<Option<(LightId, LightState)>, Error> {
        let light = self.bridge.light(context.cmd().endpoint_id)?;
        let state = self.bridge.state(light);
        let may = !state.level.is_off()
            || options.with_on_off
            || executes_if_off(&self.bridge.kept(light), options.mask, options.value);
        Ok(may.then_some((light, state)))
    }

    /// The level that is seen, of a light that is on, or that it would go back to.
    fn shown(&self, light: LightId, state: &LightState) -> u8 {
        to_matter(self.bridge.passing(light, |passing| seen(state, passing)))
    }

    /// Sets the level of a light in this time, or in its own.
    fn set(
        &self,
        context: &impl InvokeContext,
        light: LightId,
        state: &LightState,
        level: u8,
        transition: Option<Duration>,
        options: &CommandOptions,
    ) -> Result<(), Error> {
        let level = level.clamp(MIN, MAX);
        if !options.with_on_off && state.level.is_off() {
            let chosen = Some((level, state.revision));
            self.bridge
                .passing(light, |passing| passing.chosen = chosen);
            self.bridge.wake.notify_one();
            return Ok(());
        }
        let change = match options.with_on_off && level == MIN {
            // As the specification says.
            true => Change::Level(Level::OFF),
            false if !state.level.is_off() && to_matter(state.level) == level => {
                // What Matter cannot tell apart stays as somebody has set it.
                Change::Dim(state.level)
            }
            false => Change::Dim(from_matter(level)),
        };
        self.bridge.change(context, light, change, transition)
    }

    fn move_to(
        &self,
        context: impl InvokeContext,
        level: u8,
        transition: Nullable<u16>,
        options: CommandOptions,
    ) -> Result<(), Error> {
        if level > MAX {
            return Err(ErrorCode::InvalidCommand.into());
        }
        match self.invoked(&context, &options)? {
            Some((light, state)) => {
                let transition = transition.into_option().map(tenths);
                self.set(&context, light, &state, level, transition, &options)
            }
            None => Ok(()),
        }
    }

    /// Moves to the end with this many levels a second, or at once.
    fn move_on(
        &self,
        context: impl InvokeContext,
        mode: MoveModeEnum,
        rate: Nullable<u8>,
        options: CommandOptions,
    ) -> Result<(), Error> {
        let rate = rate.into_option();
        if rate == Some(0) {
            return Err(ErrorCode::InvalidCommand.into());
        }
        let Some((light, state)) = self.invoked(&context, &options)? else {
            return Ok(());
        };
        if state.level.is_off() && mode == MoveModeEnum::Down {
            return Ok(());
        }
        let from = match state.level.is_off() {
            true => 0,
            false => self.shown(light, &state),
        };
        let end = match mode {
            MoveModeEnum::Up => MAX,
            MoveModeEnum::Down => MIN,
        };
        let seconds = rate.map(|rate| f64::from(from.abs_diff(end)) / f64::from(rate));
        let time = Duration::from_secs_f64(seconds.unwrap_or_default());
        self.set(&context, light, &state, end, Some(time), &options)
    }

    /// Steps that follow each other fast all count: from where the light is on its way to.
    fn step_by(
        &self,
        context: impl InvokeContext,
        mode: StepModeEnum,
        size: u8,
        transition: Nullable<u16>,
        options: CommandOptions,
    ) -> Result<(), Error> {
        if size == 0 {
            return Err(ErrorCode::InvalidCommand.into());
        }
        let Some((light, state)) = self.invoked(&context, &options)? else {
            return Ok(());
        };
        let from = match state.level.is_off() {
            true if options.with_on_off => 0,
            true => self.shown(light, &state),
            false => to_matter(state.level),
        };
        let level = match mode {
            StepModeEnum::Up => from.saturating_add(size),
            StepModeEnum::Down if state.level.is_off() && options.with_on_off => return Ok(()),
            StepModeEnum::Down => from.saturating_sub(size),
        };
        let transition = transition.into_option().map(tenths);
        self.set(&context, light, &state, level, transition, &options)
    }

    /// Stays at the level that is seen.
    fn stop(&self, context: impl InvokeContext, options: CommandOptions) -> Result<(), Error> {
        let light = self.bridge.light(context.cmd().endpoint_id)?;
        let state = self.bridge.state(light);
        let is_moving = state.effect.is_none() && state.remaining().is_some();
        if !is_moving || (state.level.is_off() && !options.with_on_off) {
            return Ok(());
        }
        let change = Change::Level(state.shown(Instant::now()));
        self.bridge
            .change(&context, light, change, Some(Duration::ZERO))
    }
}

/// A time in tenths of a second, which is longer than dimmer allows from an hour on.
fn tenths(tenths: u16) -> Duration {
    Duration::from_millis(100 * u64::from(tenths)).min(MAX_TRANSITION)
}

impl ClusterHandler for LevelControl<'_> {
    const CLUSTER: Cluster<'static> = FULL_CLUSTER
        .with_features(Feature::LIGHTING.bits() | Feature::ON_OFF.bits())
        .with_attrs(with!(
            required;
            AttributeId::CurrentLevel
                | AttributeId::RemainingTime
                | AttributeId::MinLevel
                | AttributeId::MaxLevel
                | AttributeId::Options
                | AttributeId::OnLevel
                | AttributeId::StartUpCurrentLevel
        ))
        .with_cmds(with!(
            CommandId::MoveToLevel
                | CommandId::Move
                | CommandId::Step
                | CommandId::Stop
                | CommandId::MoveToLevelWithOnOff
                | CommandId::MoveWithOnOff
                | CommandId::StepWithOnOff
                | CommandId::StopWithOnOff
        ));

    fn dataver(&self) -> u32 {
        self.dataver.get()
    }

    fn dataver_changed(&self) {
        self.dataver.changed();
    }

    fn current_level(&self, context: impl ReadContext) -> Result<Nullable<u8>, Error> {
        let light = self.read(&context)?;
        let state = self.bridge.state(light);
        Ok(Nullable::some(self.shown(light, &state)))
    }

    fn remaining_time(&self, context: impl ReadContext) -> Result<u16, Error> {
        let state = self.bridge.state(self.read(&context)?);
        let tenths = state.remaining().unwrap_or_default().as_millis() / 100;
        Ok(u16::try_from(tenths).unwrap_or(u16::MAX))
    }

    fn min_level(&self, _: impl ReadContext) -> Result<u8, Error> {
        Ok(MIN)
    }

    fn max_level(&self, _: impl ReadContext) -> Result<u8, Error> {
        Ok(MAX)
    }

    fn options(&self, context: impl ReadContext) -> Result<OptionsBitmap, Error> {
        let kept = self.bridge.kept(self.read(&context)?);
        Ok(match kept.execute_if_off {
            true => OptionsBitmap::EXECUTE_IF_OFF,
            false => OptionsBitmap::empty(),
        })
    }

    fn set_options(&self, context: impl WriteContext, value: OptionsBitmap) -> Result<(), Error> {
        let light = self.written(&context)?;
        let execute_if_off = value.contains(OptionsBitmap::EXECUTE_IF_OFF);
        self.bridge
            .keep(light, |kept| kept.execute_if_off = execute_if_off)?;
        context.notify_changed();
        Ok(())
    }

    fn on_level(&self, context: impl ReadContext) -> Result<Nullable<u8>, Error> {
        let kept = self.bridge.kept(self.read(&context)?);
        Ok(Nullable::new(kept.on_level))
    }

    fn set_on_level(&self, context: impl WriteContext, value: Nullable<u8>) -> Result<(), Error> {
        let (light, level) = (self.written(&context)?, value.into_option());
        if level.is_some_and(|level| !(MIN..=MAX).contains(&level)) {
            return Err(ErrorCode::ConstraintError.into());
        }
        self.bridge.keep(light, |kept| kept.on_level = level)?;
        context.notify_changed();
        Ok(())
    }

    fn start_up_current_level(&self, context: impl ReadContext) -> Result<Nullable<u8>, Error> {
        let state = self.bridge.state(self.read(&context)?);
        Ok(match state.settings.on_start {
            OnStart::Level(level) if !level.is_off() => Nullable::some(to_matter(level)),
            _ => Nullable::none(),
        })
    }

    /// The setting `on_start`. 0 stands for the lowest level.
    fn set_start_up_current_level(
        &self,
        context: impl WriteContext,
        value: Nullable<u8>,
    ) -> Result<(), Error> {
        let light = self.written(&context)?;
        let on_start = match value.into_option() {
            Some(level) if level > MAX => return Err(ErrorCode::ConstraintError.into()),
            Some(level) => json!(from_matter(level).percent()),
            None => json!("restore"),
        };
        self.bridge
            .change_setting(&context, light, "on_start", on_start)?;
        context.notify_changed();
        Ok(())
    }

    fn handle_move_to_level(
        &self,
        context: impl InvokeContext,
        request: MoveToLevelRequest<'_>,
    ) -> Result<(), Error> {
        let options =
            CommandOptions::of(false, request.options_mask(), request.options_override())?;
        self.move_to(
            context,
            request.level()?,
            request.transition_time()?,
            options,
        )
    }

    fn handle_move_to_level_with_on_off(
        &self,
        context: impl InvokeContext,
        request: MoveToLevelWithOnOffRequest<'_>,
    ) -> Result<(), Error> {
        let options = CommandOptions::of(true, request.options_mask(), request.options_override())?;
        self.move_to(
            context,
            request.level()?,
            request.transition_time()?,
            options,
        )
    }

    fn handle_move(
        &self,
        context: impl InvokeContext,
        request: MoveRequest<'_>,
    ) -> Result<(), Error> {
        let options =
            CommandOptions::of(false, request.options_mask(), request.options_override())?;
        self.move_on(context, request.move_mode()?, request.rate()?, options)
    }

    fn handle_move_with_on_off(
        &self,
        context: impl InvokeContext,
        request: MoveWithOnOffRequest<'_>,
    ) -> Result<(), Error> {
        let options = CommandOptions::of(true, request.options_mask(), request.options_override())?;
        self.move_on(context, request.move_mode()?, request.rate()?, options)
    }

    fn handle_step(
        &self,
        context: impl InvokeContext,
        request: StepRequest<'_>,
    ) -> Result<(), Error> {
        let options =
            CommandOptions::of(false, request.options_mask(), request.options_override())?;
        let (mode, size) = (request.step_mode()?, request.step_size()?);
        self.step_by(context, mode, size, request.transition_time()?, options)
    }

    fn handle_step_with_on_off(
        &self,
        context: impl InvokeContext,
        request: StepWithOnOffRequest<'_>,
    ) -> Result<(), Error> {
        let options = CommandOptions::of(true, request.options_mask(), request.options_override())?;
        let (mode, size) = (request.step_mode()?, request.step_size()?);
        self.step_by(context, mode, size, request.transition_time()?, options)
    }

    fn handle_stop(
        &self,
        context: impl InvokeContext,
        request: StopRequest<'_>,
    ) -> Result<(), Error> {
        let options =
            CommandOptions::of(false, request.options_mask(), request.options_override())?;
        self.stop(context, options)
    }

    fn handle_stop_with_on_off(
        &self,
        context: impl InvokeContext,
        request: StopWithOnOffRequest<'_>,
    ) -> Result<(), Error> {
        let options = CommandOptions::of(true, request.options_mask(), request.options_override())?;
        self.stop(context, options)
    }

    fn handle_move_to_closest_frequency(
        &self,
        _: impl InvokeContext,
        _: MoveToClosestFrequencyRequest<'_>,
    ) -> Result<(), Error> {
        Err(ErrorCode::CommandNotFound.into())
    }
}
