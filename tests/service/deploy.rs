//! What `scripts/deploy.sh` says before it reaches a Pi. That it deploys is proven on an emulated one:
//! tests/emulated/deployment.rs.

use std::process::Command;

/// What the script prints on stderr. Asserts that it fails.
fn refuses(arguments: &[&str]) -> String {
    let output = Command::new("scripts/deploy.sh")
        .args(arguments)
        .output()
        .unwrap();
    assert!(!output.status.success(), "{arguments:?}");
    assert!(output.stdout.is_empty(), "{arguments:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_wrong_argument_is_an_error_before_anything_is_built() {
    for (arguments, expected) in [
        (
            &[][..],
            "name the Pi: scripts/deploy.sh pi@raspberrypi.local",
        ),
        (&["--dryrun", "pi@a"], "unknown argument --dryrun"),
        (&["pi@a", "pi@b"], "one host at a time: pi@a, or pi@b?"),
        (
            &["--package", "/no/such/package.deb", "pi@a"],
            "--package must be a file, not /no/such/package.deb",
        ),
        (&["--package"], "--package must be a file, not nothing"),
    ] {
        let error = refuses(arguments);
        assert!(error.contains(expected), "{arguments:?}: {error}");
    }
}

#[test]
fn a_host_is_never_an_option_or_a_command() {
    let folder = tempfile::tempdir().unwrap();
    let trap = folder.path().join("trapped");
    let option = format!("-oProxyCommand=touch {}", trap.display());
    assert!(refuses(&[&option]).contains("unknown argument -oProxyCommand"));
    // No host name has a space, so this reaches no machine.
    let command = format!("nobody; touch {}", trap.display());
    let error = refuses(&[&command]);
    assert!(
        error.contains(&format!("cannot reach {command} by ssh")),
        "{error}"
    );
    assert!(!trap.exists());
}
