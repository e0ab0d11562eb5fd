"""Part of `_wire`: all that an answer is made from, as C sees it: tables, protocol, and the limiter's buckets. Nothing
here sees a packet."""

DEF SECRETS = 8
DEF IDENTITY_BYTES = 64
DEF KIND_BYTES = 600       # a SOA record with the longest names


cdef struct View:
    const Names *names
    const Seals *seals
    const Pool **pools
    uint32_t pool_count
    double wall_offset_s
    bint ecs
    int secret_count       # above SECRETS: cookies are the pure function's
    Key secrets[SECRETS]
    int identity_bytes     # above IDENTITY_BYTES: NSID is the pure function's
    uint8_t identity[IDENTITY_BYTES]


cdef class _Pools:
    """All pools of tables. Those that stayed in their places are shared with `previous`."""

    cdef tuple source
    cdef list pools
    cdef const Pool **images

    def __cinit__(self, tuple source, _Pools previous):
        cdef Py_ssize_t place, known = 0 if previous is None else min(len(previous.pools), len(source))
        cdef _Pool pool
        self.source, self.pools = source, []
        self.images = <const Pool **>zeros(len(source), sizeof(void *))
        for place in range(len(source)):
            pool = <_Pool>previous.pools[place] if place < known else None
            if pool is None or pool.source is not source[place]:
                pool = _Pool(source[place])
            self.pools.append(pool)
            self.images[place] = &pool.image

    def __dealloc__(self):
        free(self.images)


cdef class Prepared:
    """`tables` as `answer` wants them. Immutable; what is the same in `previous` is shared, so that a new verdict costs
    what it changed."""

    cdef readonly object tables
    cdef _Names names
    cdef _Seals seals
    cdef _Pools pools
    cdef View view

    def __cinit__(self, tables, Prepared previous=None):
        self.tables = tables
        self.names = previous.names if previous is not None else None
        if self.names is None or not are_same(self.names.source, sources_of_names(tables)):
            self.names = _Names(tables)
        self.seals = previous.seals if previous is not None else None
        if self.seals is None or not are_same(self.seals.source, sources_of_seals(tables)):
            self.seals = _Seals(tables, self.names)
        self.view.names, self.view.seals = &self.names.image, &self.seals.image
        self.pools = previous.pools if previous is not None else None
        if self.pools is None or self.pools.source is not tables.pools:
            self.pools = _Pools(tables.pools, self.pools)
        self.view.pools, self.view.pool_count = self.pools.images, len(self.pools.pools)
        self.view.wall_offset_s = tables.wall_offset_s
        self.take_protocol(tables.protocol)

    cdef int take_protocol(self, protocol) except -1:
        cdef bytes identity = protocol.identity
        self.view.ecs, self.view.identity_bytes = protocol.ecs, len(identity)
        if len(identity) <= IDENTITY_BYTES:
            memcpy(self.view.identity, PyBytes_AS_STRING(identity), len(identity))
        for secret in protocol.cookie_secrets:
            if self.view.secret_count < SECRETS and len(secret) == 16:
                self.view.secrets[self.view.secret_count].low = int.from_bytes(secret[:8], "little")
                self.view.secrets[self.view.secret_count].high = int.from_bytes(secret[8:], "little")
                self.view.secret_count += 1
            else:
                self.view.secret_count = SECRETS + 1
        return 0


# The step of `ratelimit`, over its own buckets ------------------------------------------------------------------------

cdef double _BURST_S = BURST_S, _ROUNDING_S = ROUNDING_S
DEF PREFIX_BYTES = 7


cdef struct Network:
    int size
    uint8_t first[16]
    uint8_t last[16]

cdef struct Gate:
    double *empty_at_s
    uint64_t mask
    double step_s
    Network *exempt
    int exempts


cdef class _Limiter:
    """A limiter's settings, and its buckets where they are, for as long as this object lives."""

    cdef Gate gate
    cdef object source
    cdef double[::1] buckets

    def __cinit__(self, limiter):
        cdef int place
        self.source, self.buckets = limiter, limiter.empty_at_s
        self.gate.empty_at_s, self.gate.mask = &self.buckets[0], self.buckets.shape[0] - 1
        self.gate.step_s = limiter.step_s
        ranges = limiter.exempt.ranges if limiter.exempt is not None else ()
        self.gate.exempt, self.gate.exempts = <Network *>zeros(len(ranges), sizeof(Network)), len(ranges)
        for place, (first, last) in enumerate(ranges):
            self.gate.exempt[place].size = len(first)
            memcpy(self.gate.exempt[place].first, PyBytes_AS_STRING(first), len(first))
            memcpy(self.gate.exempt[place].last, PyBytes_AS_STRING(last), len(last))

    def __dealloc__(self):
        free(self.gate.exempt)


cdef bint take(const Gate *gate, const Address *client, const uint8_t *kind, Py_ssize_t size, double mono_s) noexcept nogil:
    """`Limiter.take`. Threads that meet in one bucket may both pass where one of them should: that costs one answer,
    and a lock would cost all of them."""
    cdef uint8_t text[PREFIX_BYTES + KIND_BYTES]
    cdef int place, prefix = 3 if client.size == 4 else PREFIX_BYTES
    cdef const Network *network
    cdef double empty_at_s
    cdef double *bucket
    for place in range(gate.exempts):
        network = gate.exempt + place
        if network.size == client.size and memcmp(network.first, client.octets, client.size) <= 0:
            if memcmp(client.octets, network.last, client.size) <= 0:
                return True
    memcpy(text, client.octets, prefix)
    memcpy(text + prefix, kind, size)
    bucket = gate.empty_at_s + (<uint64_t>octets_hash(text, prefix + size) & gate.mask)
    empty_at_s = max(relaxed(bucket), mono_s)
    if empty_at_s + gate.step_s > mono_s + _BURST_S + _ROUNDING_S:
        return False
    set_relaxed(bucket, empty_at_s + gate.step_s)
    return True
