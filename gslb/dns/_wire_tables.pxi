"""Part of `_wire`: tables as C wants them, and `draw.pick` step by step. Nothing here sees a packet."""

DEF COUNT_LIMIT = 32768

cdef int _SINGLE = 0, _BY_ANSWER = 1, _BY_CLIENT = 2, _BY_WINDOW = 3
cdef dict _DRAWS = {"answer": _BY_ANSWER, "client": _BY_CLIENT, "window": _BY_WINDOW}


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


# The step of `ratelimit`, over its own buckets ------------------------------------------------------------------------

cdef double _BURST_S = BURST_S, _ROUNDING_S = ROUNDING_S


cdef class _Limiter:
    """`Limiter.take` in C."""

    cdef object exempt
    cdef double step_s
    cdef double[::1] empty_at_s

    def __cinit__(self, limiter):
        self.exempt, self.step_s, self.empty_at_s = limiter.exempt, limiter.step_s, limiter.empty_at_s

    cdef bint take(self, const uint8_t *address, Py_ssize_t size, object kind, double mono_s) except -1:
        cdef Py_ssize_t place
        cdef double empty_at_s
        if self.exempt is not None:
            if self.exempt.covers(PyBytes_FromStringAndSize(<const char *>address, size)):
                return True
        prefix = PyBytes_FromStringAndSize(<const char *>address, 3 if size == 4 else 7)
        place = hash((prefix, kind)) & (self.empty_at_s.shape[0] - 1)
        empty_at_s = max(self.empty_at_s[place], mono_s)
        if empty_at_s + self.step_s > mono_s + _BURST_S + _ROUNDING_S:
            return False
        self.empty_at_s[place] = empty_at_s + self.step_s
        return True
