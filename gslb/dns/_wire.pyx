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

from gslb.dns.tables import Body, Peer, Qtype
from gslb.dns.wire import answer as _pure_answer

__all__ = ["Datagrams", "Prepared", "answer"]

cdef extern from "<netinet/in.h>" nogil:
    ctypedef unsigned short sa_family_t
    int AF_INET, IPPROTO_IP, IPPROTO_IPV6, IP_PKTINFO, IPV6_PKTINFO
    struct in_addr:
        uint32_t s_addr
    struct in6_addr:
        uint8_t s6_addr[16]
    struct sockaddr_in:
        in_addr sin_addr
    struct sockaddr_in6:
        sa_family_t sin6_family
        in6_addr sin6_addr
    struct in_pktinfo:
        int ipi_ifindex
        in_addr ipi_addr

cdef extern from "<sys/socket.h>" nogil:
    struct iovec:
        void *iov_base
        size_t iov_len
    struct msghdr:
        void *msg_name
        unsigned int msg_namelen
        iovec *msg_iov
        size_t msg_iovlen
        void *msg_control
        size_t msg_controllen
        int msg_flags
    struct mmsghdr:
        msghdr msg_hdr
        unsigned int msg_len
    struct cmsghdr:
        int cmsg_level
        int cmsg_type
    cmsghdr *CMSG_FIRSTHDR(msghdr *)
    unsigned char *CMSG_DATA(cmsghdr *)
    int MSG_DONTWAIT
    int recvmmsg(int, mmsghdr *, unsigned int, int, void *)
    int sendmmsg(int, mmsghdr *, unsigned int, int)

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
DEF COUNT_LIMIT = 32768
DEF BATCH = 64
DEF BATCHES_PER_WAKEUP = 4
DEF PACKET_LIMIT = 4096
DEF STRIDE = PACKET_LIMIT + 64   # not a power of two, or the start of every packet would meet in one set of the cache
DEF CONTROL = 64

cdef int _SINGLE = 0, _BY_ANSWER = 1, _BY_CLIENT = 2, _BY_WINDOW = 3
cdef dict _DRAWS = {"answer": _BY_ANSWER, "client": _BY_CLIENT, "window": _BY_WINDOW}
cdef int _CNAME = Qtype.CNAME, _DNAME = Qtype.DNAME, _DS = Qtype.DS, _OPT = 41


# Tables, as far as C wants them otherwise -----------------------------------------------------------------------------

cdef struct Records:
    uint16_t answers, extras, authorities
    const uint8_t *records
    const uint8_t *extra
    const uint8_t *authority
    Py_ssize_t records_bytes, extra_bytes, authority_bytes

cdef struct Variant:
    double weight
    uint64_t key, upto
    Records body
    bint ours


cdef bint _load(object body, Records *into) except -1:
    """Point into a `Body`, which its holder keeps alive. False where it is not for us."""
    cdef bytes records = body.records, extra = body.extra, authority = body.authority
    if not (0 < body.answers < COUNT_LIMIT and body.extras < COUNT_LIMIT and body.authorities < COUNT_LIMIT):
        return False
    into.answers, into.extras, into.authorities = body.answers, body.extras, body.authorities
    into.records, into.records_bytes = <const uint8_t *>PyBytes_AS_STRING(records), PyBytes_GET_SIZE(records)
    into.extra, into.extra_bytes = <const uint8_t *>PyBytes_AS_STRING(extra), PyBytes_GET_SIZE(extra)
    into.authority, into.authority_bytes = <const uint8_t *>PyBytes_AS_STRING(authority), PyBytes_GET_SIZE(authority)
    return not body.referral


cdef class _Choice:
    """The variants of one `Choice`, side by side."""

    cdef object source
    cdef int by
    cdef Py_ssize_t count
    cdef Variant *variants

    def __cinit__(self, source):
        self.source = source
        self.count = len(source.variants)
        self.variants = <Variant *>calloc(self.count, sizeof(Variant))
        if self.variants == NULL:
            raise MemoryError
        self.by = _SINGLE if self.count == 1 else _DRAWS[source.by]
        for place, variant in enumerate(source.variants):
            self.variants[place].weight = variant.weight
            self.variants[place].key = variant.key
            self.variants[place].upto = variant.upto
            self.variants[place].ours = _load(variant.body, &self.variants[place].body)

    def __dealloc__(self):
        free(self.variants)


cdef class _Ranges:
    """`Ranges`: the starts as they are, and for each the number of its choice among the distinct ones."""

    cdef tuple starts
    cdef list choices
    cdef uint32_t *numbers

    def __cinit__(self, source):
        cdef dict known = {}
        cdef Py_ssize_t place
        self.starts, self.choices = source.starts, []
        self.numbers = <uint32_t *>calloc(len(source.choices), sizeof(uint32_t))
        if self.numbers == NULL:
            raise MemoryError
        for place, choice in enumerate(source.choices):
            number = known.get(id(choice))
            if number is None:
                number = known[id(choice)] = len(self.choices)
                self.choices.append(_Choice(choice))
            self.numbers[place] = number

    def __dealloc__(self):
        free(self.numbers)

    cdef _Choice choice(self, const uint8_t *address, Py_ssize_t size):
        """The class of an address: the last start that is not above it. None where all are."""
        cdef Py_ssize_t low = 0, high = len(self.starts), middle, length
        cdef int order
        cdef bytes start
        while low < high:
            middle = (low + high) // 2
            start = <bytes>self.starts[middle]
            length = PyBytes_GET_SIZE(start)
            order = memcmp(PyBytes_AS_STRING(start), address, min(length, size))
            if order > 0 or (order == 0 and length > size):
                high = middle
            else:
                low = middle + 1
        return <_Choice>self.choices[self.numbers[low - 1]] if low else None


cdef class _Pool:
    cdef readonly object source
    cdef uint64_t key
    cdef double ttl_s
    cdef _Ranges v4, v6

    def __cinit__(self, source):
        self.source, self.key, self.ttl_s = source, source.key, source.ttl_s
        self.v4, self.v6 = _Ranges(source.v4), _Ranges(source.v6)


cdef class Prepared:
    """`tables` as `answer` wants them. Immutable; names are shared, and so are the pools that `previous` had already,
    so that a new verdict costs what it changed."""

    cdef readonly object tables
    cdef dict names, zones, cuts
    cdef list pools
    cdef double wall_offset_s

    def __cinit__(self, tables, Prepared previous=None):
        self.tables = tables
        self.names, self.zones, self.cuts = dict_of(tables.names), dict_of(tables.zones), dict_of(tables.cuts)
        self.wall_offset_s = tables.wall_offset_s
        if previous is not None and previous.tables.pools is tables.pools:
            self.pools = previous.pools
            return
        known = {} if previous is None else {id(pool.source): pool for pool in previous.pools}
        self.pools = [known.get(id(pool)) or _Pool(pool) for pool in tables.pools]


cdef dict dict_of(mapping):
    return mapping if type(mapping) is dict else dict(mapping)


# Draws: `draw.pick`, step by step -------------------------------------------------------------------------------------

cdef uint64_t mix(uint64_t word) noexcept nogil:
    word = (word ^ word >> 30) * <uint64_t>0xBF58476D1CE4E5B9
    word = (word ^ word >> 27) * <uint64_t>0x94D049BB133111EB
    return word ^ word >> 31


cdef bint window_of(double wall_s, double ttl_s, uint64_t *window) noexcept nogil:
    """`int(wall_s // ttl_s)` as Python rounds it. False where that is no number of 62 bits."""
    cdef double rest, quotient, whole
    if ttl_s <= 0 or not isfinite(wall_s):
        return False
    rest = fmod(wall_s, ttl_s)
    quotient = (wall_s - rest) / ttl_s
    if rest < 0:
        quotient -= 1.0
    whole = floor(quotient)
    if quotient - whole > 0.5:
        whole += 1.0
    if not -4e18 < whole < 4e18:
        return False
    window[0] = <uint64_t><long long>whole
    return True


cdef const Variant *pick(
    _Pool pool, const uint8_t *address, Py_ssize_t size, double wall_s, uint64_t random_u32
) except? NULL:
    """NULL: the pure function is to say."""
    cdef _Choice choice = (pool.v4 if size == 4 else pool.v6).choice(address, size)
    cdef uint64_t window = 0, prefix = 0 if size == 4 else 1, seed, scattered
    cdef Py_ssize_t place, best = 0
    cdef double score, lowest = 0
    if choice is None:
        return NULL
    if choice.by == _SINGLE:
        return choice.variants
    if choice.by == _BY_ANSWER:
        for place in range(choice.count):
            if random_u32 < choice.variants[place].upto:
                return choice.variants + place
        return NULL
    if choice.by == _BY_WINDOW and not window_of(wall_s, pool.ttl_s, &window):
        return NULL
    for place in range(3 if size == 4 else 7):
        prefix = prefix << 8 | address[place]
    seed = mix(mix(pool.key ^ prefix) + window)
    for place in range(choice.count):
        scattered = mix(seed ^ choice.variants[place].key) + 1
        score = (<double>scattered if scattered else 18446744073709551616.0) / 18446744073709551616.0
        score = -log(score) / choice.variants[place].weight
        if place == 0 or score < lowest:
            best, lowest = place, score
    return choice.variants + best


# One packet -----------------------------------------------------------------------------------------------------------

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
    object limiter, double mono_s, uint64_t random_u32, uint8_t *out,
) except -1:
    """Write the reply and return its length; 0: the pure function is to say. It asks the limiter again where that said
    no, and gets the same: refusals take nothing."""
    cdef Found found
    cdef bytes name = lower(asked.packet + HEADER, asked.name_bytes)
    if not look_up(tables, asked, name, client, client_bytes, mono_s + tables.wall_offset_s, random_u32, &found):
        return 0
    if limiter is not None:
        if not limiter.take(PyBytes_FromStringAndSize(<const char *>client, client_bytes), <object>found.kind, mono_s):
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
    cdef object limiter = None if meter is None or peer.proven else meter.limiter
    if PyBytes_GET_SIZE(client) in (4, 16):
        if read_query(<const uint8_t *>PyBytes_AS_STRING(packet), PyBytes_GET_SIZE(packet), tcp, &asked):
            size = reply_to(
                prepared, &asked, <const uint8_t *>PyBytes_AS_STRING(client), PyBytes_GET_SIZE(client),
                limiter, mono_s, random_u32, out,
            )
    if size:
        return PyBytes_FromStringAndSize(<const char *>out, size)
    return _pure_answer(prepared.tables, packet, peer, mono_s, random_u32, meter)


# Batches --------------------------------------------------------------------------------------------------------------

cdef class Datagrams:
    """Reads, answers and sends datagrams by the batch, and counts them. `respond(packet, peer, mono_s)` answers and
    counts what is not plain. One thread at a time; `limiter` None: nobody is limited. `seed`: of 64 bits, fresh."""

    cdef object respond, limiter
    cdef Prepared prepared
    cdef uint64_t state, queries, noerror, nxdomain, truncated, send_failed
    cdef mmsghdr messages[BATCH]
    cdef iovec vectors[BATCH]
    cdef sockaddr_in6 names[BATCH]
    cdef uint8_t controls[BATCH][CONTROL]
    cdef uint8_t packets[BATCH][STRIDE]
    cdef mmsghdr replies[BATCH]
    cdef iovec reply_vectors[BATCH]
    cdef uint8_t outs[BATCH][UDP_LIMIT]

    def __cinit__(self, respond, limiter, uint64_t seed):
        self.respond, self.limiter, self.state = respond, limiter, seed

    def publish(self, tables):
        """Answer from `tables` from the next batch on."""
        self.prepared = Prepared(tables, self.prepared)

    def counts(self):
        """Under the names of `Responder.counts`; what never happened is missing."""
        counts = {
            "queries_udp": self.queries, "responses_noerror": self.noerror, "responses_nxdomain": self.nxdomain,
            "truncated": self.truncated, "send_failed": self.send_failed,
        }
        return {name: count for name, count in counts.items() if count}

    def serve(self, int fd, double mono_s):
        """Answer what has arrived on a non-blocking socket, up to so many batches that its loop can see to its other
        work. On a socket that tells the address that was asked, replies leave from there."""
        cdef int count
        for _ in range(BATCHES_PER_WAKEUP):
            count = self.receive(fd)
            if count > 0:
                self.send(fd, self.answer_all(count, mono_s))
            if count < BATCH:
                return

    cdef int receive(self, int fd):
        cdef int place, count
        for place in range(BATCH):
            self.vectors[place].iov_base, self.vectors[place].iov_len = self.packets[place], PACKET_LIMIT
            message = &self.messages[place].msg_hdr
            message.msg_name, message.msg_namelen = &self.names[place], sizeof(sockaddr_in6)
            message.msg_iov, message.msg_iovlen = &self.vectors[place], 1
            message.msg_control, message.msg_controllen = self.controls[place], CONTROL
        with nogil:
            count = recvmmsg(fd, self.messages, BATCH, MSG_DONTWAIT, NULL)
        return count

    cdef int answer_all(self, int count, double mono_s) except -1:
        """How many replies there are to send."""
        cdef int place, ready = 0
        cdef Py_ssize_t size
        cdef msghdr *asked
        for place in range(count):
            asked = &self.messages[place].msg_hdr
            size = self.answer_one(place, self.outs[ready], mono_s)
            if size:
                self.reply_vectors[ready].iov_base, self.reply_vectors[ready].iov_len = self.outs[ready], size
                self.replies[ready].msg_hdr = asked[0]
                self.replies[ready].msg_hdr.msg_iov = &self.reply_vectors[ready]
                from_asked(&self.replies[ready].msg_hdr)
                ready += 1
        return ready

    cdef Py_ssize_t answer_one(self, int place, uint8_t *out, double mono_s) except -1:
        """The length of the reply to one message; 0: silence."""
        cdef const uint8_t *packet = self.packets[place]
        cdef Py_ssize_t size = self.messages[place].msg_len, written = 0
        cdef bint v4 = self.names[place].sin6_family == AF_INET
        cdef const uint8_t *client = self.names[place].sin6_addr.s6_addr
        cdef Py_ssize_t client_bytes = 4 if v4 else 16
        cdef Asked asked
        cdef bytes reply
        if v4:
            client = <const uint8_t *>&(<sockaddr_in *>&self.names[place]).sin_addr
        if self.prepared is not None and read_query(packet, size, False, &asked):
            self.state += <uint64_t>0x9E3779B97F4A7C15
            try:
                written = reply_to(
                    self.prepared, &asked, client, client_bytes, self.limiter, mono_s, mix(self.state) >> 32, out
                )
            except Exception:  # the pure function meets it again, and reports it
                written = 0
        if written:
            self.queries += 1
            if out[3] & 0xF:
                self.nxdomain += 1
            else:
                self.noerror += 1
            self.truncated += 1 if out[2] & TC else 0
            return written
        peer = Peer(PyBytes_FromStringAndSize(<const char *>client, client_bytes))
        reply = self.respond(PyBytes_FromStringAndSize(<const char *>packet, size), peer, mono_s)
        if reply is None:
            return 0
        memcpy(out, PyBytes_AS_STRING(reply), PyBytes_GET_SIZE(reply))
        return PyBytes_GET_SIZE(reply)

    cdef void send(self, int fd, int count) noexcept:
        """Send all; what cannot leave is counted and passed over."""
        cdef int sent = 0, done
        with nogil:
            while sent < count:
                done = sendmmsg(fd, self.replies + sent, count - sent, MSG_DONTWAIT)
                if done > 0:
                    sent += done
                elif errno != EINTR:
                    self.send_failed += 1
                    sent += 1


cdef void from_asked(msghdr *message) noexcept nogil:
    """Send from the address that was asked (RFC 3542 section 6.2; ip(7) for IPv4, whose interface is left to routing)."""
    cdef cmsghdr *control = CMSG_FIRSTHDR(message) if message.msg_controllen else NULL
    if control == NULL:
        message.msg_control, message.msg_controllen = NULL, 0
    elif control.cmsg_level == IPPROTO_IP and control.cmsg_type == IP_PKTINFO:
        (<in_pktinfo *>CMSG_DATA(control)).ipi_ifindex = 0
        (<in_pktinfo *>CMSG_DATA(control)).ipi_addr.s_addr = 0
