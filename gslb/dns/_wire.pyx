# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The native wire: `wire.answer` in C for the packets that nearly all are, and batches of datagrams around it.

It answers one question of class IN, with or without EDNS, whose answer stands in the tables or is a simple negative one;
whatever else arrives, or does not fit what is expected here, is the pure function's. So nothing is decided here that
`wire` does not decide alike, and a doubt costs speed, never a wrong answer. No aliases, wildcards, delegations or zone
logic, ever: they belong in the pure modules, which are this one's oracle.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.errno cimport EBADF, EINTR, errno
from libc.math cimport floor, fmod, isfinite, log
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcmp, memcpy, memset

from gslb.dns.dnssec.denial import sort_key
from gslb.dns.ratelimit import BURST_S, ROUNDING_S
from gslb.dns.tables import Body as GivenBody
from gslb.dns.tables import Peer
from gslb.dns.wire import answer as _pure_answer

__all__ = ["Datagrams", "Prepared", "answer"]

DEF HEADER = 12
DEF OPT_BYTES = 11
DEF UDP_LIMIT = 1232
DEF PLAIN_UDP_LIMIT = 512
DEF TCP_LIMIT = 65535
DEF NAME_LIMIT = 255
DEF OPTIONS_LIMIT = 128
DEF QR = 0x80
DEF OPCODE = 0x78
DEF AA = 0x04
DEF TC = 0x02
DEF RD = 0x01
DEF CD = 0x10
DEF NXDOMAIN = 3
DEF BADCOOKIE = 23
DEF SOA = 6
DEF OPT = 41
DEF DS = 43
DEF RRSIG = 46
DEF NSEC = 47

include "_wire_memory.pxi"
include "_wire_names.pxi"
include "_wire_pools.pxi"
include "_wire_seals.pxi"
include "_wire_tables.pxi"
include "_wire_query.pxi"
include "_wire_reply.pxi"
include "_wire_datagrams.pxi"
include "_wire_threads.pxi"


def answer(tables, bytes packet, peer, double mono_s, uint64_t random_u32, meter=None):
    """What `wire.answer` says, octet for octet. `tables` may be `Prepared`, which spares preparing them each time."""
    cdef Prepared prepared = tables if type(tables) is Prepared else Prepared(tables)
    cdef _Limiter limiter = None
    cdef bytes client = peer.address
    cdef Counts counts
    cdef Turn turn
    cdef Asked asked
    cdef Py_ssize_t size = 0
    cdef uint8_t out[TCP_LIMIT]
    if meter is not None and meter.limiter is not None and not peer.proven:
        limiter = _Limiter(meter.limiter)
    memset(&counts, 0, sizeof(counts))
    turn.view, turn.gate, turn.counts = &prepared.view, NULL if limiter is None else &limiter.gate, &counts
    turn.mono_s, turn.random_u32 = mono_s, random_u32
    if PyBytes_GET_SIZE(client) in (4, 16):
        take_address(&turn.peer, <const uint8_t *>PyBytes_AS_STRING(client), PyBytes_GET_SIZE(client))
        if read_query(<const uint8_t *>PyBytes_AS_STRING(packet), PyBytes_GET_SIZE(packet), peer.tcp, &asked):
            size = reply_to(&asked, &turn, out)
    if not size:
        return _pure_answer(prepared.tables, packet, peer, mono_s, random_u32, meter)
    if meter is not None:
        meter.counts.update(dict_of_counts(&counts))
    return PyBytes_FromStringAndSize(<const char *>out, size)
