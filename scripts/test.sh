#!/usr/bin/env bash
# Runs every check and every test, and first installs what they need: Debian packages, axe-core from npm, and
# clients from npm, PyPI and crates.io. Ends with how long each part took, which tests failed or did not run, and a line
# that counts them:
#
#   dimmer: 423 passed, 0 failed, 0 skipped
#
# Fails if one failed, or did not run.
#
#   scripts/test.sh [--long]
#
#   --long  also measures an emulated Pi Zero, boots an emulated Pi from a fresh image, builds for every
#           Raspberry Pi and starts each binary, checks the dependencies, fuzzes, tries the REST API against its OpenAPI
#           document, runs Home Assistant in two versions, and gives the tests of reliability their time: some 50 minutes
#           more

# What runs beside the rest is called by its name.
# shellcheck disable=SC2317
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/debian.sh
source scripts/debian.sh

case ${1-} in
'') ;;
--long) export DIMMER_LONG=1 ;;
*) fail "unknown argument $1; see the head of $0" ;;
esac

# What the steps leave: the time that each took, and what its tests printed, in a file of its own.
results=$(mktemp -d)
mkdir "$results/tests" "$results/beside"
# What runs beside the other steps: process groups of their own, which end with this script.
running=()
trap 'for job in "${running[@]}"; do kill -- "-$job" 2>/dev/null || true; done; rm -r "$results"' EXIT
step_name=
step_start=0

# step NAME: begins a step.
step() {
  [ -z "$step_name" ] || printf '%5d s  %s\n' $((SECONDS - step_start)) "$step_name" >>"$results/times"
  step_name=$1 step_start=$SECONDS
  [ -z "$1" ] || printf '\n== %s\n' "$1"
}

# tests COMMAND ARGUMENT…: runs tests of cargo, and keeps what they print. The steps behind one that failed run all the
# same, so that all are counted.
tests() { "$@" 2>&1 | tee -a "$results/tests/$step_name" || touch "$results/failed"; }

# end: prints the times, what failed or was skipped, and how many tests passed; and ends with an error unless all did.
end() {
  step ''
  printf '\n'
  cat "$results/times"
  printf '%5d s  in all\n' "$SECONDS"
  cd "$results/tests"
  # Which failed or was skipped; and why, up to the backtrace: the claims of the emulated Pi, and what a test said.
  grep -hE '^test .* \.\.\. (FAILED|ignored)|^not ok |^FAILED ' ./* || true
  awk '/ panicked at / { lines = 6 } /^(stack backtrace|note): ?/ { lines = 0 } lines-- > 0 { print substr($0, 1, 600) }' \
    ./*
  local failed=''
  if [ -e ../failed ]; then
    failed=1
    say "tests failed, or could not run; see above"
  fi
  # A line of each test binary: test result: ok. 12 passed; 0 failed; 3 ignored; …
  awk -v failed="$failed" '
    /^test result: / { passes += $4; failures += $6; skips += $8 }
    END {
      printf "dimmer: %d passed, %d failed, %d skipped\n", passes, failures, skips
      exit failed || failures || skips || !passes
    }' ./*
  exit
}

# beside FUNCTION: runs its steps beside those that follow. What they print comes at the end.
beside() {
  set -m
  {
    step_name=''
    "$1"
    step ''
  } >"$results/beside/$1" 2>&1 &
  running+=($!)
  set +m
}

# emulated_pi: builds the program for an emulated Pi, and tries it there. Most of that time one core is busy: with the
# linker of a program that is optimized as a whole, and with QEMU. So this runs beside the other steps.
emulated_pi() {
  step "the pin of an emulated Raspberry Pi"
  tests scripts/emulate.sh

  step "deployment to an emulated Raspberry Pi"
  tests scripts/emulate.sh --system
}

# matter_tests: runs those that need a program with Matter, which is the one that was built with the tests. They wait
# nearly all of the time, as controllers take theirs to find a light again.
matter_tests() {
  step "tests of Matter"
  unset DIMMER_BIN
  tests cargo_test --no-fail-fast --lib --bins --test clients --test page matter:: -- --include-ignored
}

# other_tests: runs all but those of Matter and of the page. They wait most of the time, and browsers do not.
other_tests() {
  step "all other tests, against the release binary"
  local main targets=()
  for main in tests/*/main.rs; do
    [ "$main" = tests/page/main.rs ] || targets+=(--test "$(basename "${main%/main.rs}")")
  done
  # Those on an emulated Pi and on Home Assistant, which are prepared and run elsewhere, are left out by name: they would
  # count as skipped.
  tests cargo_test --no-fail-fast --lib --bins "${targets[@]}" -- \
    --include-ignored --skip on_an_emulated_pi --skip on_home_assistant --skip matter::
  tests cargo_test --doc
}

step "what the tests need"
install apt-utils avahi-daemon avahi-utils bsdutils build-essential caddy chromium-headless-shell curl dbus \
  firefox-esr fish gnupg httpie iproute2 mosquitto nginx-light openssh-client shellcheck shfmt strace systemd tzdata \
  udev util-linux valgrind webkit2gtk-driver xvfb zsh
# What the steps in the background would otherwise install, and there sudo cannot ask for a password.
install arch-test cpio device-tree-compiler dpkg-dev e2fsprogs gcc-aarch64-linux-gnu kmod libc6-dev-arm64-cross \
  mmdebstrap xz-utils
scripts/axe.sh >/dev/null
for clients in '' prometheus websocat node-red matter; do
  scripts/clients.sh $clients >/dev/null
done

beside emulated_pi

step "scripts"
scripts=(scripts/*.sh scripts/*/*.sh tools/names.bash .ci/run systemd/deb/{postinst,prerm,postrm})
shellcheck -x "${scripts[@]}"
shfmt --indent 2 --diff "${scripts[@]}"

step "workflows"
scripts/workflows.sh

step "the page without a browser"
tests scripts/page.sh

step "format"
cargo fmt --check

step "lint, documentation and test build"
cargo_test --no-run --all-targets
beside matter_tests

step "release build"
# As `cargo run --release` builds it. Matter would take more time than all else, and is tried in the program of the tests
# and in the package that is deployed to the emulated Pi.
cargo build --locked --release
export DIMMER_BIN=$PWD/target/release/dimmer
beside other_tests

step "tests of the page, against the release binary"
tests cargo_test --no-fail-fast --test page -- --include-ignored --skip matter::

step "waiting for what runs beside"
for job in "${running[@]}"; do
  wait "$job" || touch "$results/failed"
done
running=()
cat "$results"/beside/*

[ -n "${DIMMER_LONG-}" ] || end

step "the pin of an emulated Raspberry Pi Zero"
tests scripts/emulate.sh --zero

step "the first boot of an emulated Raspberry Pi"
tests scripts/emulate.sh --first-boot

step "every target"
for target in aarch64 armv7 armv6; do
  scripts/build.sh --target "$target" --check
done

step "every combination of features"
for features in {,mdns}{,\ mqtt}{,\ socketio}{,\ tls} matter; do
  cargo clippy --locked --no-default-features --features "$features" -- --deny warnings
done

step "cross"
scripts/test/cross.sh

step "dependencies"
scripts/audit.sh

step "the REST API against its OpenAPI document"
scripts/schemathesis.sh

step "Home Assistant"
scripts/home-assistant.sh install
tests cargo_test --test clients on_home_assistant -- --include-ignored

step "fuzzing"
scripts/fuzz.sh 60

step "the packages"
scripts/package.sh --lint
scripts/package.sh --target armv6 --lint

end
