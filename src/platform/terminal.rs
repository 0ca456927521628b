//! Standard output.

use std::fmt::Arguments;
use std::future;
use std::io::{self, ErrorKind, Write};

use anyhow::Context;
use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::model::text::printable;

/// Nobody reads standard output any more, as in `dimmer watch | head -1`: a reason to end, but no failure.
#[derive(Debug, thiserror::Error)]
#[error("standard output is closed")]
pub struct OutputClosed;

/// Prints a line that may hold texts of another machine, without what a terminal would obey.
///
/// # Errors
/// As [`print()`].
pub fn print_line(line: Arguments<'_>) -> anyhow::Result<()> {
    print(&(printable(&line.to_string()) + "\n"))
}

/// Prints a text as it is.
///
/// # Errors
/// Standard output [is closed](OutputClosed) or cannot be written; `println!` would panic.
pub fn print(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(OutputClosed.into()),
        result => result.context("cannot write to standard output"),
    }
}

/// A text as a QR code, with a blank line above it; `None` if it is too long for one.
pub fn qr_code(text: &str) -> Option<String> {
    let code = QrCode::new(text).ok()?;
    // Light on dark, as most terminals are; phones read both.
    let picture = code
        .render::<Dense1x2>()
        .dark_color(Dense1x2::Light)
        .light_color(Dense1x2::Dark)
        .build();
    Some(format!("\n{picture}\n"))
}

/// Resolves when nobody reads standard output any more.
#[expect(
    deprecated,
    reason = "its successor is unsafe, for descriptors that are closed meanwhile; this one is not"
)]
pub async fn output_closed() -> OutputClosed {
    match AsyncFd::with_interest(io::stdout(), Interest::ERROR) {
        Ok(output) if output.ready(Interest::ERROR).await.is_ok() => OutputClosed,
        // A file, for example: it cannot be closed by anyone else.
        _ => future::pending().await,
    }
}
