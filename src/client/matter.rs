//! `dimmer matter`: what is paired with Matter, and how to pair more.

use anyhow::Context;
use axum::http::Method;
use serde::Deserialize;

use super::endpoint::{ServiceArgs, unexpected};
use super::rest::request;
use crate::platform::terminal::{print, print_line, qr_code};

/// The subcommands of `dimmer matter`.
#[derive(Debug, clap::Subcommand)]
pub enum MatterCommand {
    /// Print what is paired, and while more can be, the QR code and the digits for that
    Show,
    /// Let more home apps pair for 15 minutes, and print the QR code and the digits
    Open,
    /// Let no more pair
    Close,
    /// Remove a fabric: its home app no longer controls the lights
    Remove {
        /// Index of the fabric, as printed
        #[arg(value_parser = clap::value_parser!(u8).range(1..=254))]
        index: u8,
    },
    /// Remove all fabrics, and let home apps pair for 15 minutes
    Reset,
}

/// What the service says.
#[derive(Deserialize)]
struct Received {
    enabled: bool,
    window: String,
    seconds: Option<u64>,
    qr: Option<String>,
    code: Option<String>,
    fabrics: Vec<ReceivedFabric>,
}

#[derive(Deserialize)]
struct ReceivedFabric {
    index: u8,
    label: String,
    vendor: u16,
}

/// Carries out the command, and prints what is paired then.
///
/// # Errors
/// The service cannot be reached, or refuses.
pub async fn matter(service: &ServiceArgs, command: MatterCommand) -> anyhow::Result<()> {
    let (method, path) = match command {
        MatterCommand::Show => (Method::GET, "/api/matter".into()),
        MatterCommand::Open => (Method::POST, "/api/matter/open".into()),
        MatterCommand::Close => (Method::POST, "/api/matter/close".into()),
        MatterCommand::Remove { index } => (Method::DELETE, format!("/api/matter/fabrics/{index}")),
        MatterCommand::Reset => (Method::POST, "/api/matter/reset".into()),
    };
    let answer = request(service, method, &path, Vec::new()).await?;
    let received = serde_json::from_slice(&answer).with_context(|| unexpected(&service.url))?;
    show(&received)
}

fn show(received: &Received) -> anyhow::Result<()> {
    if !received.enabled {
        return print_line(format_args!(
            "Matter is off: set enabled = true in [matter] of the settings file, and restart dimmer"
        ));
    }
    if received.fabrics.is_empty() {
        print_line(format_args!("nothing is paired"))?;
    }
    for ReceivedFabric {
        index,
        label,
        vendor,
    } in &received.fabrics
    {
        print_line(format_args!(
            "fabric {index}: {label:?}, vendor {vendor:#06x}"
        ))?;
    }
    match (received.window.as_str(), &received.qr, &received.code) {
        ("open", Some(qr), Some(code)) => {
            let minutes = received.seconds.unwrap_or_default().div_ceil(60);
            if let Some(picture) = qr_code(qr) {
                print(&picture)?;
            }
            print_line(format_args!("{qr}"))?;
            print_line(format_args!(
                "or {code}, for {minutes} more minutes, in the home app: add a device"
            ))
        }
        ("open", ..) => print_line(format_args!(
            "more can be paired; ask from the LAN for the code"
        )),
        ("controller", ..) => print_line(format_args!(
            "more can be paired, with the code that a paired app shows"
        )),
        _ => print_line(format_args!(
            "no more can be paired; dimmer matter open lets them"
        )),
    }
}
