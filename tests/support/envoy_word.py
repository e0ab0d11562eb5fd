"""What Envoy itself says of a configuration."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

from gslb.edge import find_envoy
from gslb.edge.certificates import Certificates
from gslb.edge.render import Peering, Stores, removed, secrets
from tests.support.identities import Authority

__all__ = ["PEERING", "envoy_word"]

_SECRETS, _CERTIFICATES, _ROOTS = "/var/lib/gslb/sds", "/etc/gslb/certificates", "/etc/ssl/certs/ca-certificates.crt"
PEERING = Peering("gslb.example.com", f"{_SECRETS}/identity.json", f"{_SECRETS}/peers.json", f"{_SECRETS}/removed.json")


def envoy_word(resources: Any, folder: Path) -> str:
    """Why Envoy refuses a static bootstrap, rendered with PEERING or without; empty: it takes it without a word. The
    files that it names are put into `folder`."""
    text = json.dumps(resources).replace(_SECRETS, str(folder)).replace(Stores().secrets, str(folder / "tls"))
    text = re.sub(rf'{_CERTIFICATES}/[^"]+', _ROOTS, text)
    pairs = re.findall(r"/tls/([^/]+)/secret\.json", text)
    Certificates(folder / "nothing", folder / "tls").hand_over(dict.fromkeys(pairs, ()))
    if str(folder) in text and not (folder / "identity.json").exists():
        _identify(folder)
    file = folder / "static.json"
    file.write_text(text)
    words = [find_envoy(None), "--mode", "validate", "-c", file, "-l", "warning", "--concurrency", "1"]
    told = subprocess.run(words, capture_output=True, text=True, check=False)
    return told.stderr.strip() or "it was silent" * bool(told.returncode)


def _identify(folder: Path) -> None:
    authority = Authority(folder / "trust")
    own, theirs = secrets(str(authority.give("edge", "machine/edge/site")), str(authority.trust / "ca.pem"))
    shut_out = removed("gslb.example.com", ["m.1", "m2"])
    for name, resource in (("identity", own), ("peers", theirs), ("removed", shut_out)):
        (folder / f"{name}.json").write_text(json.dumps({"resources": [resource]}))
