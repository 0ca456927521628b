//! What stands in for `dimmer certificate` where dimmer is built without TLS: it is refused.

use anyhow::bail;

use crate::cli::CertificateArgs;

/// Refuses.
pub fn make(_: CertificateArgs) -> anyhow::Result<()> {
    bail!("this dimmer is built without TLS, the Cargo feature tls")
}
