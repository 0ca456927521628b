//! Kernels whose driver of a pwmchip must not be used, because a write crashes the machine.
//!
//! To add one, add a row to `BUGS`.

use std::fmt;
use std::fs;
use std::path::Path;

use super::pwmchip::ChipKind;

/// A bug of the driver of one kind of pwmchip, in the releases from `first` to `last`.
///
/// Only numbers are compared, so a build with the number of a bad release is avoided even if its
/// packager has fixed it: a light on `software-pwm` costs less than a machine that hangs.
#[derive(Debug, PartialEq)]
pub struct KernelBug {
    kind: ChipKind,
    first: KernelVersion,
    last: KernelVersion,
    /// What happens, after the name of the driver.
    symptom: &'static str,
    /// The report.
    source: &'static str,
    /// The kernels without the bug.
    fixed: &'static str,
}

const BUGS: [KernelBug; 2] = [
    // 6.12.28 worked; the fix, raspberrypi/linux#6972, is of July 2025. 6.12.75 works (#7458).
    KernelBug {
        kind: ChipKind::PwmPio,
        first: KernelVersion(6, 12, 29),
        last: KernelVersion(6, 12, 34),
        symptom: "crashes when it is enabled",
        source: "raspberrypi/linux#6971",
        fixed: "fixed in July 2025, so in 6.12.75",
    },
    // Reported for 6.18.34, but the cause is in every 6.18 up to the fix, raspberrypi/linux#7439, of
    // June 2026: the driver declares that it does not sleep, and does.
    KernelBug {
        kind: ChipKind::PwmPio,
        first: KernelVersion(6, 18, 0),
        last: KernelVersion(6, 18, 34),
        symptom: "hangs the machine at any write",
        source: "raspberrypi/linux#7458",
        fixed: "fixed in June 2026, so in any later 6.18; 6.12.75 works, too",
    },
];

impl KernelBug {
    /// The bug of a kind of pwmchip in a release of the kernel, if one is known.
    pub(crate) fn of(kind: ChipKind, release: &str) -> Option<&'static KernelBug> {
        let version = KernelVersion::parse(release);
        BUGS.iter()
            .find(|bug| bug.kind == kind && (bug.first..=bug.last).contains(&version))
    }

    /// The bug of a kind of pwmchip in the kernel of the machine whose files are below `root`.
    pub(crate) fn here(root: &Path, kind: ChipKind) -> Option<&'static KernelBug> {
        KernelBug::of(kind, &release(root)?)
    }
}

impl fmt::Display for KernelBug {
    /// What happens, where that is reported, and what to do.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let KernelBug {
            symptom,
            source,
            fixed,
            ..
        } = self;
        let driver = self.kind.name();
        write!(
            f,
            "{driver} of this kernel {symptom} ({source}); update the kernel (sudo apt full-upgrade): {fixed}"
        )
    }
}

/// The numbers that a release of the kernel begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct KernelVersion(u32, u32, u32);

impl KernelVersion {
    /// The numbers of a release such as `6.12.34+rpt-rpi-v8`; 0 for each that is missing.
    fn parse(release: &str) -> KernelVersion {
        // What follows the numbers is the packager's, as the 1030 in Ubuntu's `6.8.0-1030-raspi`.
        let end = release.find(|character: char| !character.is_ascii_digit() && character != '.');
        let mut numbers = release[..end.unwrap_or(release.len())]
            .split('.')
            .map_while(|number| number.parse().ok());
        let mut next = || numbers.next().unwrap_or(0);
        KernelVersion(next(), next(), next())
    }
}

/// The release of the kernel of the machine whose files are below `root`.
pub(crate) fn release(root: &Path) -> Option<String> {
    let release = fs::read_to_string(root.join("proc/sys/kernel/osrelease")).ok()?;
    Some(release.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_read_as_distributions_write_it() {
        for (release, version) in [
            ("6.12.34+rpt-rpi-2712", KernelVersion(6, 12, 34)),
            ("6.12.34+rpt-rpi-v8", KernelVersion(6, 12, 34)),
            ("6.18.34-v8-16k+", KernelVersion(6, 18, 34)),
            ("6.12.38+deb13-arm64", KernelVersion(6, 12, 38)),
            ("6.1.0-56-arm64", KernelVersion(6, 1, 0)),
            ("6.8.0-1030-raspi", KernelVersion(6, 8, 0)),
            ("6.18-rc3", KernelVersion(6, 18, 0)),
            ("6.12.", KernelVersion(6, 12, 0)),
            ("", KernelVersion(0, 0, 0)),
        ] {
            assert_eq!(KernelVersion::parse(release), version, "{release}");
        }
    }

    #[test]
    fn exactly_the_bad_releases_of_pwm_pio_are_avoided() {
        let source = |release| KernelBug::of(ChipKind::PwmPio, release).map(|bug| bug.source);
        for release in [
            "6.12.29-v8-16k+",
            "6.12.34+rpt-rpi-2712",
            "6.12.34+rpt-rpi-v8",
        ] {
            assert_eq!(source(release), Some("raspberrypi/linux#6971"), "{release}");
        }
        for release in [
            "6.18.0",
            "6.18.9+rpt-rpi-2712",
            "6.18.34-v8-16k+",
            "6.18.34+rpt-rpi-v8",
        ] {
            assert_eq!(source(release), Some("raspberrypi/linux#7458"), "{release}");
        }
        for release in [
            "6.6.74+rpt-rpi-2712",
            "6.8.0-1030-raspi",
            "6.12.28+rpt-rpi-2712",
            "6.12.38+deb13-arm64",
            "6.12.75+rpt-rpi-2712",
            "6.17.34",
            "6.18.35+rpt-rpi-2712",
            "6.19.0",
            "",
        ] {
            assert_eq!(source(release), None, "{release}");
        }
        for kind in [ChipKind::PwmGpio, ChipKind::Bcm2835, ChipKind::Rp1] {
            assert_eq!(KernelBug::of(kind, "6.18.34-v8-16k+"), None, "{kind:?}");
        }
    }
}
