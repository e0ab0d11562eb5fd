from collections.abc import Callable, Sequence
from typing import Self, TypeAlias

from gslb.dns.meter import Meter
from gslb.dns.ratelimit import Limiter
from gslb.dns.tables import Peer, Tables

__all__ = ["Datagrams", "Prepared", "answer"]

_Respond: TypeAlias = Callable[[bytes, Peer, float], bytes | None]

class Prepared:
    @property
    def tables(self) -> Tables: ...
    def __new__(cls, tables: Tables, previous: Prepared | None = None) -> Self: ...

class Datagrams:
    @property
    def handed_fd(self) -> int: ...
    def __new__(
        cls,
        respond: _Respond,
        limiter: Limiter | None,
        seed: int,
        sample: _Respond | None = None,
        sample_every: int = 0,
        lanes: int = 1,
    ) -> Self: ...
    def publish(self, tables: Tables) -> None: ...
    def serve(self, lane: int, fd: int, mono_s: float) -> None: ...
    def attend(self, lane: int, fds: Sequence[int]) -> int: ...
    def stop(self) -> None: ...
    def drain(self, mono_s: float) -> None: ...
    def counts(self) -> dict[str, int]: ...

def answer(
    tables: Tables | Prepared, packet: bytes, peer: Peer, mono_s: float, random_u32: int, meter: Meter | None = None
) -> bytes | None: ...
