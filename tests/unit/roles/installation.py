"""An installation of tests: an authority, a store, and the registrar of its first control, on a clock set by hand."""

from __future__ import annotations

import base64

from gslb import clock
from gslb.control.bodies.join_messages import CertificateRequest, JoinRequest, JoinTokenRequest
from gslb.roles.identities.registrar import StoreRegistrar
from gslb.roles.identities.trust_home import TrustHome, new_issuer, new_key, new_serial
from gslb.store.embedded import EmbeddedStore
from gslb.trust.authority import make_request, make_root, pem_of
from gslb.trust.identity_files import MachineFile, trust_folder
from gslb.trust.join import parse_token
from gslb.trust.private_files import make_folder, write_private
from gslb.trust.renewal import proof_of
from gslb.trust.state import Issuer, TrustState

DOMAIN = "gslb.example.com"


class Installation:
    """`data` is the first control's data folder. The root's key is in `root`, as if it were offline."""

    def __init__(self, data, *, life_s=86400.0, machine=None, roles=("control", "dns")):
        self.data, self.trust = data, make_folder(trust_folder(data))
        write_private(self.trust / "installation.secret", b"ab" * 32)
        self.store = EmbeddedStore(data)
        self.home = TrustHome(data, self.store)
        now_s = clock.wall_s()
        self.root = make_root(new_key(), DOMAIN, new_serial(), now_s)
        issuer = new_issuer(self.root, DOMAIN, now_s)
        sealed = self.home.sealed(issuer, pem_of(issuer.certificate))
        state = TrustState(domain=DOMAIN, roots=(pem_of(self.root.certificate),), issuers=(sealed,), life_s=life_s)
        self.home.keep(state)
        self.machine = machine or MachineFile(
            machine="m1", domain=DOMAIN, roles=roles, address=("127.0.7.1", 8900), api="https://127.0.7.1:8053"
        )
        files = {
            "all": {"trust/signers.json": self.trust / "signers.json"},
            "dns": {"dns/cookie.secret": data / "cookie.secret"},
            "control": {"trust/installation.secret": self.trust / "installation.secret"},
        }
        write_private(data / "cookie.secret", b"cd" * 16)
        self.registrar = StoreRegistrar(self.home, self.store, self.machine, files)
        self.registrar.register()

    def renew_issuer(self):
        issuer = new_issuer(self.root, DOMAIN, clock.wall_s())
        self.home.change(lambda state: state.issued_by(self.home.sealed(issuer, pem_of(issuer.certificate))))
        self.registrar.look()

    async def token(self, *roles, **given):
        made = await self.registrar.new_token(JoinTokenRequest(roles=roles, author="ann", **given))
        return parse_token(made["token"])

    async def join(self, token, name="m2", *processes, keys=None, **given):
        keys = keys if keys is not None else {process: new_key() for process in processes or ("dns",)}
        wanted = {
            "id": token.id, "secret": token.secret_text, "machine": name, "address": "192.0.2.2:8900",
            "requests": {process: make_request(key) for process, key in keys.items()}, **given,
        }  # fmt: skip
        return await self.registrar.join(JoinRequest(**wanted))

    async def renew(self, chain, old, key, asker=None, *, local=False, **given):
        csr = make_request(key)
        wanted = {"csr": csr, "certificate": chain, "proof": proof_of(old, csr), **given}
        return await self.registrar.certify(CertificateRequest(**wanted), asker, local=local)

    def close(self):
        self.store.close()


def octets(text):
    return base64.b64decode(text)


__all__ = ["DOMAIN", "Installation", "Issuer", "octets"]
