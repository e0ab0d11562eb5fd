"""One suite over both wires."""

from functools import partial

import pytest

from gslb.dns import native, wire
from gslb.dns.responder import Responder


@pytest.fixture(params=["python", "native"] if native.available() else ["python"])
def every_wire(request, monkeypatch):
    """Puts the `answer` of one wire, and a `Responder` that uses it, in place of those that the test module imports."""
    answer = wire.answer
    if request.param == "native":
        from gslb.dns._wire import answer
    for name, given in (("answer", answer), ("Responder", partial(Responder, wire=request.param))):
        if hasattr(request.module, name):
            monkeypatch.setattr(request.module, name, given)
