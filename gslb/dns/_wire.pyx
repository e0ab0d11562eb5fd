# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The native wire: `wire.answer` in C for the packets that nearly all are, and batches of datagrams around it.

It answers plain questions (one of class IN, no EDNS options) whose answer stands in the tables or is a simple negative
one; whatever else arrives, or does not fit what is expected here, is the pure function's. So nothing is decided here
that `wire` does not decide alike, and a doubt costs speed, never a wrong answer. No name lookup rules, options, cookies
or zone logic beyond that, ever: they belong in the pure modules, which are this one's oracle.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_Contains, PyDict_GetItem
from cpython.object cimport PyObject
from libc.errno cimport EINTR, errno
from libc.math cimport floor, fmod, isfinite, log
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memcpy

from gslb.dns.ratelimit import BURST_S, ROUNDING_S
from gslb.dns.tables import Body, Peer, Qtype
from gslb.dns.wire import answer as _pure_answer

__all__ = ["Datagrams", "Prepared", "answer"]

DEF HEADER = 12
DEF UDP_LIMIT = 1232
DEF PLAIN_UDP_LIMIT = 512
DEF TCP_LIMIT = 65535
DEF NAME_LIMIT = 255
DEF QR = 0x80
DEF OPCODE = 0x78
DEF AA = 0x04
DEF TC = 0x02
DEF RD = 0x01
DEF CD = 0x10
DEF NXDOMAIN = 3

cdef int _CNAME = Qtype.CNAME, _DNAME = Qtype.DNAME, _DS = Qtype.DS, _OPT = 41

include "_wire_tables.pxi"


cdef struct Asked:
    const uint8_t *packet
    Py_ssize_t name_bytes, question_bytes, limit_bytes
    int qtype
    bint edns, dnssec_ok

cdef struct Found:
    int rcode
    uint16_t owner      # of the SOA record of a negative answer; 0: the authority section is complete
    Records body
    PyObject *kind      # what a limiter counts it as; borrowed from the tables, or from the caller's name


cdef bint read_query(const uint8_t *packet, Py_ssize_t size, bint tcp, Asked *asked) noexcept nogil:
    """Whether it is one plain question: opcode QUERY, class IN, an ordinary type, nothing behind it but at most an OPT
    record of version 0 without options."""
    cdef Py_ssize_t offset = HEADER
    cdef const uint8_t *opt
    if size < HEADER + 5 or packet[2] & (QR | OPCODE) or packet[4] or packet[5] != 1:
        return False
    if packet[6] or packet[7] or packet[8] or packet[9] or packet[10] or packet[11] > 1:
        return False
    while packet[offset]:
        if packet[offset] > 63:
            return False
        offset += packet[offset] + 1
        if offset >= size:
            return False
    asked.packet, asked.name_bytes = packet, offset + 1 - HEADER
    asked.question_bytes, asked.edns = asked.name_bytes + 4, packet[11] == 1
    if asked.name_bytes > NAME_LIMIT or size != HEADER + asked.question_bytes + (11 if asked.edns else 0):
        return False
    asked.qtype = packet[offset + 1] << 8 | packet[offset + 2]
    if packet[offset + 3] or packet[offset + 4] != 1:
        return False
    if asked.qtype == 0 or asked.qtype == _OPT or 128 <= asked.qtype <= 255:
        return False
    asked.limit_bytes = TCP_LIMIT if tcp else PLAIN_UDP_LIMIT
    if asked.edns:
        opt = packet + offset + 5
        if opt[0] or opt[1] or opt[2] != _OPT or opt[6] or opt[9] or opt[10]:
            return False
        asked.dnssec_ok = opt[7] & 0x80
        if not tcp:
            asked.limit_bytes = min(max(opt[3] << 8 | opt[4], PLAIN_UDP_LIMIT), UDP_LIMIT)
    return True


cdef bytes lower(const uint8_t *name, Py_ssize_t size):
    cdef uint8_t low[NAME_LIMIT]
    cdef Py_ssize_t place
    for place in range(size):
        low[place] = name[place] + (32 if 65 <= name[place] <= 90 else 0)
    return PyBytes_FromStringAndSize(<const char *>low, size)


cdef bint look_up(
    Prepared tables, const Asked *asked, bytes name, const uint8_t *client, Py_ssize_t client_bytes,
    double wall_s, uint64_t random_u32, Found *found,
) except -1:
    """Fill `found`, where the answer is simple."""
    cdef PyObject *entry = PyDict_GetItem(tables.names, name)
    cdef PyObject *content
    cdef const Variant *variant
    cdef Py_ssize_t index
    if entry == NULL:
        return negative(tables, asked, name, found)
    if type(<object>entry) is not dict:
        return False
    content = PyDict_GetItem(<dict>entry, asked.qtype)
    if content == NULL:
        return negative(tables, asked, name, found)
    found.rcode, found.owner, found.kind = 0, 0, <PyObject *>name
    if type(<object>content) is Body:
        return _load(<object>content, &found.body)
    index = <object>content
    if not 0 <= index < len(tables.pools):
        return False
    variant = pick(<_Pool>tables.pools[index], client, client_bytes, wall_s, random_u32)
    if variant == NULL or not variant.ours:
        return False
    found.body = variant.body
    return True


cdef bint negative(Prepared tables, const Asked *asked, bytes name, Found *found) except -1:
    """NODATA and NXDOMAIN without alias, wildcard or delegation (RFC 2308 section 2)."""
    cdef Py_ssize_t offset = 0
    cdef bytes above = name
    cdef PyObject *entry = NULL
    cdef PyObject *soa = NULL
    cdef bytes encloser = None
    if asked.qtype == _DS:
        return False
    while True:
        if entry == NULL:
            entry, encloser = PyDict_GetItem(tables.names, above), above
        soa = PyDict_GetItem(tables.zones, above)
        if soa != NULL:
            break
        if not name[offset]:
            return False
        offset += <uint8_t>name[offset] + 1
        above = name[offset:]
    if entry == NULL or PyDict_Contains(tables.cuts, encloser):
        return False
    found.rcode = 0
    if encloser is not name:
        found.rcode = NXDOMAIN
        if _DNAME in <object>entry or PyDict_Contains(tables.names, b"\x01*" + encloser):
            return False
    elif _CNAME in <object>entry:
        return False
    found.owner, found.kind = 0xC000 | HEADER + offset, soa
    found.body = Records(0, 0, 1, NULL, NULL, NULL, 0, 0, 0)
    found.body.authority = <const uint8_t *>PyBytes_AS_STRING(<bytes>soa)
    found.body.authority_bytes = PyBytes_GET_SIZE(<bytes>soa)
    return True


cdef void put16(uint8_t *out, unsigned int number) noexcept nogil:
    out[0], out[1] = number >> 8 & 0xFF, number & 0xFF


cdef Py_ssize_t write_reply(const Asked *asked, const Found *found, uint8_t *out) noexcept nogil:
    """`wire._fitted`: into at least `limit_bytes` of room. The length of the reply."""
    cdef Records body = found.body
    cdef int flags = QR | AA
    cdef Py_ssize_t at = HEADER + asked.question_bytes
    cdef Py_ssize_t room = asked.limit_bytes - at - (11 if asked.edns else 0)
    room -= body.records_bytes + body.authority_bytes + (2 if found.owner else 0)
    if body.extra_bytes > room:
        body.extras = body.extra_bytes = 0
        if room < 0:
            body = Records(0, 0, 0, NULL, NULL, NULL, 0, 0, 0)
            flags |= TC
    memcpy(out, asked.packet, at)
    out[2] = flags | asked.packet[2] & RD
    out[3] = asked.packet[3] & CD | found.rcode
    put16(out + 6, body.answers)
    put16(out + 8, body.authorities)
    put16(out + 10, body.extras + (1 if asked.edns else 0))
    if body.records_bytes:
        memcpy(out + at, body.records, body.records_bytes)
        at += body.records_bytes
    if found.owner and body.authorities:
        put16(out + at, found.owner)
        at += 2
    if body.authority_bytes:
        memcpy(out + at, body.authority, body.authority_bytes)
        at += body.authority_bytes
    if body.extra_bytes:
        memcpy(out + at, body.extra, body.extra_bytes)
        at += body.extra_bytes
    if asked.edns:
        memcpy(out + at, b"\0\0\x29\x04\xd0\0\0\0\0\0\0", 11)
        out[at + 7] = 0x80 if asked.dnssec_ok else 0
        at += 11
    return at


cdef Py_ssize_t reply_to(
    Prepared tables, const Asked *asked, const uint8_t *client, Py_ssize_t client_bytes,
    _Limiter limiter, double mono_s, uint64_t random_u32, uint8_t *out,
) except -1:
    """Write the reply and return its length; 0: the pure function is to say. It asks the limiter again where that said
    no, and gets the same: refusals take nothing."""
    cdef Found found
    cdef bytes name = lower(asked.packet + HEADER, asked.name_bytes)
    if not look_up(tables, asked, name, client, client_bytes, mono_s + tables.wall_offset_s, random_u32, &found):
        return 0
    if limiter is not None and not limiter.take(client, client_bytes, <object>found.kind, mono_s):
        return 0
    return write_reply(asked, &found, out)


def answer(tables, bytes packet, peer, double mono_s, uint64_t random_u32, meter=None):
    """What `wire.answer` says, octet for octet. `tables` may be `Prepared`, which spares preparing them each time."""
    cdef Prepared prepared = tables if type(tables) is Prepared else Prepared(tables)
    cdef bytes client = peer.address
    cdef bint tcp = peer.tcp
    cdef Asked asked
    cdef Py_ssize_t size = 0
    cdef uint8_t out[TCP_LIMIT]
    cdef bint limited = not (meter is None or meter.limiter is None or peer.proven)
    cdef _Limiter limiter = _Limiter(meter.limiter) if limited else None
    if PyBytes_GET_SIZE(client) in (4, 16):
        if read_query(<const uint8_t *>PyBytes_AS_STRING(packet), PyBytes_GET_SIZE(packet), tcp, &asked):
            size = reply_to(
                prepared, &asked, <const uint8_t *>PyBytes_AS_STRING(client), PyBytes_GET_SIZE(client),
                limiter, mono_s, random_u32, out,
            )
    if size:
        return PyBytes_FromStringAndSize(<const char *>out, size)
    return _pure_answer(prepared.tables, packet, peer, mono_s, random_u32, meter)


include "_wire_datagrams.pxi"
