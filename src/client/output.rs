//! Standard output.

use std::fmt::Arguments;
use std::io::{self, Write};

use anyhow::Context;

/// Prints a line.
///
/// # Errors
/// Nobody reads standard output any more, where `println!` would panic.
pub fn print(line: Arguments<'_>) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")
        .and_then(|()| out.flush())
        .context("cannot write to standard output")
}
