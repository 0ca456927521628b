//! Puts rs-matter together, and runs it.

use std::cell::Cell;
use std::future;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use getrandom::SysRng;
use getrandom::rand_core::UnwrapErr;
use rs_matter::crypto::{Crypto, default_crypto};
use rs_matter::dm::clusters::basic_info::BasicInfoConfig;
use rs_matter::dm::clusters::decl::bridged_device_basic_information::ClusterHandler as _;
use rs_matter::dm::clusters::decl::identify::ClusterHandler as _;
use rs_matter::dm::clusters::decl::level_control::ClusterHandler as _;
use rs_matter::dm::clusters::decl::on_off::ClusterHandler as _;
use rs_matter::dm::clusters::desc::{ClusterHandler as _, DescHandler};
use rs_matter::dm::clusters::groups::{ClusterHandler as _, GroupsHandler};
use rs_matter::dm::devices::DEV_TYPE_AGGREGATOR;
use rs_matter::dm::devices::test::{DAC_PRIVKEY, TEST_DEV_ATT, TEST_PID, TEST_VID};
use rs_matter::dm::endpoints::EthSysHandlerBuilder;
use rs_matter::dm::networks::eth::EthNetwork;
use rs_matter::dm::{Async, DataModel, Dataver};
use rs_matter::error::Error;
use rs_matter::im::{EthInteractionModelState, InteractionModel};
use rs_matter::pairing::DiscoveryCapabilities;
use rs_matter::pairing::qr::{CommFlowType, QrPayload, no_optional_data};
use rs_matter::respond::DefaultResponder;
use rs_matter::sc::pase::Spake2pVerifierPasswordRef;
use rs_matter::transport::exchange::MatterBuffers;
use rs_matter::{BasicCommData, Matter};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::bridge::MatterBridge;
use super::bridged_info::{BridgedInfo, label};
use super::disk::Disk;
use super::endpoints::{AGGREGATOR, FIRST_LIGHT};
use super::identify::Identify;
use super::identity::DeviceIdentity;
use super::level_control::LevelControl;
use super::mdns::Responder;
use super::node::BridgeNode;
use super::on_off::OnOff;
use super::reports;
use super::requests::Requests;
use super::socket::Socket;
use crate::model::hub::Hub;
use crate::model::matter::{Codes, MatterEnd, MatterError, MatterState};

/// Exchanges that are handled at the same time; more are told to try again.
const EXCHANGES: usize = 4;
/// Those that are told so at the same time.
const BUSY_EXCHANGES: usize = 4;
/// Pause after it has failed.
const RETRY: Duration = Duration::from_secs(30);
/// The name for people, where the dimmer has no title.
const NAME: &str = "dimmer";

/// Serves Matter until `stop`; what is paired is kept in `folder`. The future must stay in one thread.
///
/// Where that fails, as with a damaged file or without IPv6, it says so and tries again later: the lights work without it.
///
/// # Errors
/// None: the signature is that of a supervised task.
pub async fn run(
    hub: Arc<Hub>,
    folder: PathBuf,
    mut end: MatterEnd,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let mut logged = String::new();
    loop {
        let Err(error) = serve(&hub, &folder, &mut end, &stop).await else {
            return Ok(());
        };
        let reason = format!("{error:#}; home apps are off, and tried again every {RETRY:?}");
        if reason != logged {
            warn!("matter: {reason}");
            logged.clone_from(&reason);
        }
        end.state.send_replace(MatterState::default());
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = sleep(RETRY) => {}
            () = refuse_all(&mut end, &reason) => {}
        }
    }
}

async fn serve(
    hub: &Arc<Hub>,
    folder: &Path,
    end: &mut MatterEnd,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let identity = DeviceIdentity::of(folder)?;
    let bridge = MatterBridge::new(hub.clone(), folder)?;
    let socket = Socket::open().await?;
    let title = hub.settings.house().title.clone();
    let title = title.unwrap_or_else(|| NAME.into());
    let details = details(&identity, label(&title));
    let pairing = BasicCommData {
        password: Spake2pVerifierPasswordRef::new(&identity.passcode.to_le_bytes()).into(),
        discriminator: identity.discriminator,
    };
    let codes = codes(&pairing, &details).map_err(failed)?;
    let matter = Matter::new(&details, pairing, &TEST_DEV_ATT, socket.port()?);
    let buffers: MatterBuffers = MatterBuffers::new();
    let state: EthInteractionModelState = EthInteractionModelState::new(EthNetwork::new_default());
    let kv = matter.kv(Disk::new(folder));
    let damaged = || format!("what is paired cannot be read from {}", folder.display());
    matter.startup(&kv).map_err(failed).with_context(damaged)?;
    let crypto = default_crypto(UnwrapErr(SysRng), DAC_PRIVKEY);
    let model = data_model(&bridge, &identity, &crypto).map_err(failed)?;
    let interactions = InteractionModel::new(&matter, &crypto, &buffers, model, &kv, &state);
    interactions.startup().await.map_err(failed)?;
    // Nobody needs the number of starts enough to do without the rest; the log has the error.
    let _ = matter.persist_reboot_count(&kv);
    info!("matter: on UDP port {}", matter.port());

    let (services, changed) = (Notify::new(), Notify::new());
    let requests = Requests {
        bridge: &bridge,
        matter: &matter,
        codes,
        state: &end.state,
        services: &services,
        changed: &changed,
        until: Cell::new(Instant::now()),
    };
    let mdns = Responder {
        matter: &matter,
        host: &identity.id,
        services: &services,
        changed: &changed,
    };
    let responder = DefaultResponder::new(&interactions);
    let mut respond = pin!(responder.run::<EXCHANGES, BUSY_EXCHANGES>());
    let mut interact = pin!(interactions.run());
    let mut transport = pin!(matter.run(&crypto, &socket, &socket, &socket));
    let ended = tokio::select! {
        () = stop.cancelled() => Ok(()),
        ended = &mut respond => ended,
        ended = &mut interact => ended,
        ended = &mut transport => ended,
        () = mdns.run() => Ok(()),
        () = requests.run(&interactions, &mut end.requests) => Ok(()),
        () = reports::run(&bridge, &interactions) => Ok(()),
    };
    reports::end_all(&bridge);
    ended.map_err(failed)
}

/// Answers every request with the reason why there is no Matter; never returns.
async fn refuse_all(end: &mut MatterEnd, reason: &str) {
    while let Some((_, answer)) = end.requests.recv().await {
        // Whoever asked may have given up waiting.
        let _ = answer.send(Err(MatterError::Unavailable(reason.into())));
    }
    future::pending().await
}

fn failed(error: Error) -> anyhow::Error {
    anyhow!("rs-matter: {:?}", error.code())
}

/// What the device says of itself. It is not certified: the IDs are those for tests.
fn details<'a>(identity: &'a DeviceIdentity, name: &'a str) -> BasicInfoConfig<'a> {
    BasicInfoConfig {
        vendor_name: NAME,
        vid: TEST_VID,
        product_name: NAME,
        pid: TEST_PID,
        hw_ver: 1,
        hw_ver_str: "1",
        sw_ver: 1,
        sw_ver_str: env!("CARGO_PKG_VERSION"),
        serial_no: &identity.id,
        unique_id: &identity.id,
        device_name: name,
        device_type: Some(DEV_TYPE_AGGREGATOR.dtype),
        ..BasicInfoConfig::new()
    }
}

/// The codes to pair it.
fn codes(pairing: &BasicCommData, details: &BasicInfoConfig<'_>) -> Result<Codes, Error> {
    // Without a serial number, so that the code is small.
    let qr = QrPayload::new(
        DiscoveryCapabilities::IP,
        CommFlowType::Standard,
        pairing.clone(),
        details.vid,
        details.pid,
        "",
        no_optional_data,
    );
    let mut buffer = [0; 256];
    let (text, _) = qr.as_str(&mut buffer)?;
    Ok(Codes {
        qr: Arc::from(text),
        manual: Arc::from(pairing.compute_pretty_pairing_code().as_str()),
    })
}

/// The clusters of the endpoints. Each handler of lights serves all of them.
fn data_model<'a>(
    bridge: &'a MatterBridge,
    identity: &'a DeviceIdentity,
    crypto: &impl Crypto,
) -> Result<impl DataModel + 'a, Error> {
    let mut random = crypto.rand()?;
    let mut dataver = || Dataver::new_rand(&mut random);
    let handlers = (
        DescHandler::new_aggregator(dataver()),
        DescHandler::new(dataver()),
        GroupsHandler::new(dataver()),
        Identify::new(bridge, dataver()),
        OnOff::new(bridge, dataver()),
        LevelControl::new(bridge, dataver()),
        BridgedInfo::new(bridge, &identity.id, dataver()),
    );
    let (aggregator, description, groups, identify, on_off, level_control, info) = handlers;
    let root = EthSysHandlerBuilder::new().build(crypto.rand()?);
    let chain = root
        .chain(
            |endpoint, cluster| endpoint == AGGREGATOR && cluster == DescHandler::CLUSTER.id,
            Async(aggregator.adapt()),
        )
        .chain(
            |endpoint, cluster| endpoint >= FIRST_LIGHT && cluster == DescHandler::CLUSTER.id,
            Async(description.adapt()),
        )
        .chain(
            |endpoint, cluster| endpoint >= FIRST_LIGHT && cluster == GroupsHandler::CLUSTER.id,
            Async(groups.adapt()),
        )
        .chain(
            |endpoint, cluster| endpoint >= FIRST_LIGHT && cluster == Identify::CLUSTER.id,
            Async(identify.adapt()),
        )
        .chain(
            |endpoint, cluster| endpoint >= FIRST_LIGHT && cluster == OnOff::CLUSTER.id,
            Async(on_off.adapt()),
        )
        .chain(
            |endpoint, cluster| endpoint >= FIRST_LIGHT && cluster == LevelControl::CLUSTER.id,
            Async(level_control.adapt()),
        )
        .chain(
            |endpoint, cluster| endpoint >= FIRST_LIGHT && cluster == BridgedInfo::CLUSTER.id,
            Async(info.adapt()),
        );
    Ok((BridgeNode(bridge.endpoints.clone()), chain))
}
