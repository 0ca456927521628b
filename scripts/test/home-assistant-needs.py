"""Prints what Home Assistant would install when it first runs with MQTT, one requirement a line."""

import json
from pathlib import Path

from homeassistant import bootstrap
from homeassistant.auth.mfa_modules import totp

components = Path(bootstrap.__file__).parent / "components"
waiting = {"api", "config", "hassio", "mqtt", "onboarding", "recorder", *bootstrap.CORE_INTEGRATIONS, *bootstrap.DEFAULT_INTEGRATIONS}
seen, needs = set(), set(totp.REQUIREMENTS)
while waiting:
    component = waiting.pop()
    seen.add(component)
    manifest = json.loads((components / component / "manifest.json").read_text())
    needs.update(manifest.get("requirements", []))
    waiting.update(set(manifest.get("dependencies", [])) - seen)
print(*sorted(needs), sep="\n")
