#!/usr/bin/env bash
# install.sh PACKAGE: deploy.sh runs this on the Pi, as root. Installs the package, waits until the service answers, and
# keeps a copy of the package. If the service does not answer, shows its journal and installs the previous package again.
set -euo pipefail

new=$1
# The package that is installed and works.
current=/var/cache/dimmer/current.deb
# Seconds until the service must answer.
PATIENCE=30

say() { printf '== %s\n' "$*"; }

# Whether the service answers and says that every light works. With a password or TLS, only whether it answers.
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

# install_package FILE: installs the package and waits until the service answers.
install_package() {
  # Keeps the administrator's changes to dimmer.toml.
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
