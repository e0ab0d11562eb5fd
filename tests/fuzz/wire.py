"""Fuzzing of the native wire, built with ASan and UBSan, beside the pure one: `make fuzz`, or a few thousand packets in
the suite.

Every reply has the octets of the pure one, is no longer than it may be, and parses in dnspython and dnslib. With atheris
installed its coverage of the pure modules leads the way; without it packets are drawn and damaged at random.
"""

import contextlib
import importlib.machinery
import importlib.util
import random
import sys
import tempfile
from collections import Counter
from pathlib import Path

MODULE = "gslb.dns._wire"
SEEDS = 2_000
CONTROL_BYTES = 32
MONO_S = (0.0, 1.5, 100_000.25)


def main(seconds: float, extension: str | None) -> None:
    """Fuzz for so long, with `extension` in place of the installed one."""
    with contextlib.suppress(ImportError):
        import atheris

        with atheris.instrument_imports(include=["gslb.dns"], enable_loader_override=False):
            load(extension)
            comparison = Comparison(2)
        lead(atheris, comparison, seconds)
        return
    load(extension)
    print("atheris is not installed: packets are drawn at random")
    from gslb import clock

    comparison, numbers, packets = Comparison(1), random.Random(), 0
    end_s = clock.mono_s() + seconds
    while clock.mono_s() < end_s:
        comparison.any_packet(numbers)
        packets += 1
    print(f"{packets} packets, {dict(comparison.answered)}")


def load(extension: str | None) -> None:
    """Have `import` of the native wire mean the file `extension`."""
    if extension:
        loader = importlib.machinery.ExtensionFileLoader(MODULE, extension)
        spec = importlib.util.spec_from_file_location(MODULE, extension, loader=loader)
        module = importlib.util.module_from_spec(spec)
        sys.modules[MODULE] = module
        loader.exec_module(module)
        import gslb.dns

        gslb.dns._wire = module


def lead(atheris, comparison: "Comparison", seconds: float) -> None:
    """What a packet is asked with stands behind it in each input, as FuzzedDataProvider would take it."""
    numbers = random.Random(1)
    with tempfile.TemporaryDirectory() as corpus:
        for place in range(SEEDS):
            packet, _ = comparison.drawn(numbers, 0.0)
            Path(corpus, str(place)).write_bytes(packet + numbers.randbytes(CONTROL_BYTES))
        atheris.Setup(
            [sys.argv[0], corpus, f"-max_total_time={seconds:g}", "-max_len=600", "-timeout=20"], comparison.of_input
        )
        atheris.Fuzz()


class Comparison:
    """Tables of every kind, prepared, and some that are made anew; each packet is asked of both wires."""

    def __init__(self, per_s: int) -> None:
        from gslb.dns import _wire, wire
        from gslb.dns.meter import Meter
        from gslb.dns.ratelimit import Limiter
        from tests.support import wire_cases

        self.native, self.pure, self.drawn = _wire.answer, wire.answer, wire_cases.some_packet
        self.tables = wire_cases.every_kind()
        self.prepared = [_wire.Prepared(tables) for tables in self.tables]
        self.meters = [Meter(Counter(), Limiter(per_s)) for _ in range(2)]
        self.answered: Counter[int] = Counter()

    def any_packet(self, numbers: random.Random) -> None:
        which, mono_s = numbers.randrange(len(self.tables)), numbers.choice(MONO_S)
        packet, peer = self.drawn(numbers, mono_s + self.tables[which].wall_offset_s)
        self.compare(which, packet, peer, mono_s, numbers.getrandbits(33))

    def of_input(self, data: bytes) -> None:
        """One input of the fuzzer."""
        from gslb.dns.tables import Peer

        control, packet = data[-CONTROL_BYTES:].ljust(CONTROL_BYTES, b"\0"), data[:-CONTROL_BYTES]
        address = control[:16] if control[16] & 1 else control[:4]
        peer = Peer(address, control[16] & 6 == 6, control[16] & 24 == 24)
        which, mono_s = control[17] % len(self.tables), MONO_S[control[18] % len(MONO_S)]
        self.compare(which, packet, peer, mono_s, int.from_bytes(control[19:24]))

    def compare(self, which, packet, peer, mono_s, number) -> None:
        """An odd `number` asks with a limiter."""
        meters = self.meters if number & 1 else (None, None)
        tables = self.tables[which]
        expected = self.pure(tables, packet, peer, mono_s, number & 0xFFFFFFFF, meters[0])
        reply = self.native(self.prepared[which], packet, peer, mono_s, number & 0xFFFFFFFF, meters[1])
        assert reply == expected, (which, packet.hex(), peer, mono_s, number, reply, expected)
        assert self.meters[0].counts == self.meters[1].counts, (which, packet.hex(), peer)
        if reply is not None:
            self.answered[reply[3] & 0xF] += 1
            sound(packet, peer, reply)


def sound(packet: bytes, peer, reply: bytes) -> None:
    """Whether a reply is one, as others see it, and not too long."""
    import dns.flags
    import dns.message
    import dnslib

    from gslb.dns.query import parse
    from gslb.errors import WireError

    assert len(reply) <= (65_535 if peer.tcp else 1232)
    assert reply[:2] == packet[:2]
    assert reply[2] & 0x80
    read = dns.message.from_wire(reply, question_only=len(reply) == 12, ignore_trailing=False)
    with contextlib.suppress(WireError):
        query = parse(packet)
        limit = min(max(query.edns.size_bytes, 512), 1232) if query.edns else 512
        assert peer.tcp or len(reply) <= limit
        if read.flags & dns.flags.TC:
            assert not read.answer
            assert not read.authority
        if query.name.isascii():  # dnslib reads no others
            dnslib.DNSRecord.parse(reply)


if __name__ == "__main__":
    main(float(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None)
