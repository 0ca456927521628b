//! What the REST API says of Matter: [`MatterResource`].

use serde::Serialize;
use tokio::time::Instant;

use crate::model::matter::{MatterState, Window};

/// The body about Matter.
#[derive(Debug, Serialize)]
pub struct MatterResource<'a> {
    /// Whether the settings have it.
    enabled: bool,
    /// Whether new controllers can pair.
    window: WindowResource,
    /// For how many seconds, while it is open here.
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds: Option<u64>,
    /// The text of the QR code, for clients that may see it, while it is open here.
    #[serde(skip_serializing_if = "Option::is_none")]
    qr: Option<&'a str>,
    /// The digits to type in instead, as 4-3-4.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
    /// The controllers that are paired.
    fabrics: Vec<FabricResource<'a>>,
}

/// Whether new controllers can pair.
#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
enum WindowResource {
    Closed,
    Open,
    /// With codes that a paired controller shows.
    Controller,
}

#[derive(Debug, Serialize)]
struct FabricResource<'a> {
    index: u8,
    label: &'a str,
    vendor: u16,
}

impl<'a> MatterResource<'a> {
    /// Where Matter is off.
    pub fn off() -> MatterResource<'a> {
        MatterResource {
            enabled: false,
            window: WindowResource::Closed,
            seconds: None,
            qr: None,
            code: None,
            fabrics: Vec::new(),
        }
    }

    /// The state, for a client that may see the codes, or not.
    pub fn of(state: &'a MatterState, may_pair: bool) -> MatterResource<'a> {
        let (window, until, codes) = match &state.window {
            Window::Closed => (WindowResource::Closed, None, None),
            Window::OpenByController => (WindowResource::Controller, None, None),
            Window::Open { until, codes } => (WindowResource::Open, Some(until), Some(codes)),
        };
        let codes = codes.filter(|_| may_pair);
        let fabrics = state.fabrics.iter().map(|fabric| FabricResource {
            index: fabric.index,
            label: &fabric.label,
            vendor: fabric.vendor,
        });
        MatterResource {
            enabled: true,
            window,
            seconds: until.map(|until| until.saturating_duration_since(Instant::now()).as_secs()),
            qr: codes.map(|codes| &*codes.qr),
            code: codes.map(|codes| &*codes.manual),
            fabrics: fabrics.collect(),
        }
    }
}
