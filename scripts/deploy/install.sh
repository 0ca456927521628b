#!/usr/bin/env bash
# install.sh PACKAGE: what deploy.sh runs on the Pi, as root. Installs the package and waits until it
# serves; otherwise shows the journal and puts the package before it back, which it keeps for that.
set -euo pipefail

new=$1
# The package that runs.
current=/var/cache/dimmer/current.deb
# Seconds that a service has to serve.
PATIENCE=30

say() { printf '== %s\n' "$*"; }

# Whether it serves and every light works, as it says itself; with a password or TLS it only says the first.
is_healthy() {
  local port status
  port=$(systemctl show --property=Listen dimmer.socket)
  port=${port% (*} port=${port##*:}
  {
    exec 3<>"/dev/tcp/127.0.0.1/$port"
  } 2>/dev/null || return 1
  printf 'GET /api/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' >&3
  read -r -t 5 _ status _ <&3 || status=none
  exec 3>&-
  [[ $status == @(200|401|30?) ]]
}

# Installs a package and waits until it serves.
install_package() {
  # An administrator's changes to dimmer.toml stay.
  DEBIAN_FRONTEND=noninteractive dpkg --force-confdef --force-confold --install "$1" || return 1
  local end=$((SECONDS + PATIENCE))
  until is_healthy; do
    if [ $SECONDS -ge $end ]; then
      say "not healthy after $PATIENCE s"
      return 1
    fi
    sleep 1
  done
}

since=$(date '+%Y-%m-%d %H:%M:%S')
say "installing"
if install_package "$new"; then
  install -D -m 644 "$new" "$current"
  say "installed, and it serves"
  exit
fi

say "it does not serve; its journal:"
journalctl --no-pager --unit=dimmer --since="$since" | tail -n 40
if [ ! -e "$current" ]; then
  say "there is no package from before to put back"
elif install_package "$current"; then
  say "put back what ran before"
else
  say "what ran before does not serve either"
fi
exit 1
