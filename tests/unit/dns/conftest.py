"""One suite over both wires."""

from functools import partial

import pytest

from gslb.dns import native, wire
from gslb.dns.responder import Responder


@pytest.fixture(params=["python", "native", "threads"] if native.available() else ["python"])
def every_wire(request, monkeypatch):
    """Puts the `answer` of one wire, and a `Responder` that uses it, in place of those that the test module imports."""
    answer, settings = wire.answer, {"wire": "python"}
    if request.param != "python":
        from gslb.dns._wire import answer

        settings = {"wire": "native", "threads": 2 if request.param == "threads" else 0}
    for name, given in (("answer", answer), ("Responder", partial(Responder, **settings))):
        if hasattr(request.module, name):
            monkeypatch.setattr(request.module, name, given)
