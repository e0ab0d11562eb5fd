"""Part of `_wire`: pools in C memory, `draw.pick` and `subnet.scope_bits` step by step. Nothing here sees a packet."""

DEF RECENT = 64
DEF BLOCKS = 65536
DEF MANY_CLASSES = 1024

cdef int _SINGLE = 0, _BY_ANSWER = 1, _BY_CLIENT = 2, _BY_WINDOW = 3
cdef dict _DRAWS = {"answer": _BY_ANSWER, "client": _BY_CLIENT, "window": _BY_WINDOW}


cdef struct Address:       # packed, and as a number: of IPv4 in `high` alone
    uint64_t high, low
    uint8_t octets[16]
    int size

cdef struct Variant:
    double weight
    uint64_t key, upto
    Body body

cdef struct Choice:
    uint32_t first, count  # variants
    int by

cdef struct Ranges:
    uint64_t *high         # where each class starts, the first at zero
    uint64_t *low          # NULL in IPv4
    uint32_t *numbers      # of choices
    uint32_t *blocks       # where there are many: the class of the first address of each block of 16 bits
    uint32_t count

cdef struct Pool:
    Buffer octets
    Choice *choices
    Variant *variants
    Ranges v4, v6
    uint64_t key
    double ttl_s
    bint ours


cdef uint64_t big_endian(const uint8_t *octets, int size) noexcept nogil:
    cdef uint64_t word = 0
    cdef int place
    for place in range(size):
        word = word << 8 | octets[place]
    return word


cdef void take_address(Address *into, const uint8_t *octets, int size) noexcept nogil:
    into.size = size
    memcpy(into.octets, octets, size)
    into.high = big_endian(octets, 4 if size == 4 else 8)
    into.low = 0 if size == 4 else big_endian(octets + 8, 8)


cdef class _Pool:
    """A `Pool` as one in C memory, for as long as this object lives."""

    cdef Pool image
    cdef object source

    def __cinit__(self, source):
        cdef dict numbers = {}
        self.source = source
        self.image.key, self.image.ttl_s = source.key, source.ttl_s
        self.image.ours = self.load_ranges(source.v4, &self.image.v4, 4, numbers)
        self.image.ours &= self.load_ranges(source.v6, &self.image.v6, 16, numbers)
        choices = [choice for choice, _ in numbers.values()]
        self.image.choices = <Choice *>zeros(len(choices), sizeof(Choice))
        self.image.variants = <Variant *>zeros(sum([len(choice.variants) for choice in choices]), sizeof(Variant))
        self.load_choices(choices)

    def __dealloc__(self):
        free(self.image.octets.octets)
        free(self.image.choices)
        free(self.image.variants)
        free_ranges(&self.image.v4)
        free_ranges(&self.image.v6)

    cdef bint load_ranges(self, given, Ranges *ranges, Py_ssize_t size, dict numbers) except -1:
        """`numbers`: by identity, each choice and its number. False where the classes are not as steering makes them:
        from nothing, rising."""
        cdef tuple starts = given.starts, choices = given.choices
        cdef uint32_t place
        cdef const uint8_t *octets
        cdef object start, choice
        cdef void *recent[RECENT]      # choices, most of which come again and again
        cdef uint32_t recent_numbers[RECENT]
        cdef size_t slot
        memset(recent, 0, sizeof(recent))
        if not starts or len(starts) != len(choices) or len(starts[0]) or len(starts) >= 0xFFFFFFFF:
            return False
        ranges.high = <uint64_t *>zeros(len(starts), sizeof(uint64_t))
        ranges.numbers = <uint32_t *>zeros(len(starts), sizeof(uint32_t))
        if size == 16:
            ranges.low = <uint64_t *>zeros(len(starts), sizeof(uint64_t))
        for place in range(len(starts)):
            choice = choices[place]
            slot = <size_t><void *>choice // 16 % RECENT
            if recent[slot] != <void *>choice:
                recent[slot] = <void *>choice
                recent_numbers[slot] = numbers.setdefault(id(choice), (choice, len(numbers)))[1]
            ranges.numbers[place] = recent_numbers[slot]
            if place == 0:
                continue
            start = starts[place]
            if PyBytes_GET_SIZE(start) != size:
                return False
            octets = <const uint8_t *>PyBytes_AS_STRING(start)
            ranges.high[place] = big_endian(octets, min(size, 8))
            if size == 16:
                ranges.low[place] = big_endian(octets + 8, 8)
            if not is_below_start(ranges, place, ranges.high[place - 1], ranges.low[place - 1] if ranges.low else 0):
                return False
        ranges.count = len(starts)
        if ranges.count > MANY_CLASSES:
            add_blocks(ranges, 16 if size == 4 else 48)
        return True

    cdef int load_choices(self, list choices) except -1:
        cdef uint32_t variants = 0
        cdef Variant *variant
        for place, choice in enumerate(choices):
            self.image.choices[place].first, self.image.choices[place].count = variants, len(choice.variants)
            self.image.choices[place].by = _SINGLE if len(choice.variants) == 1 else _DRAWS[choice.by]
            self.image.ours &= bool(choice.variants)
            for given in choice.variants:
                variant = self.image.variants + variants
                variant.weight, variant.key, variant.upto = given.weight, given.key, given.upto
                load(&self.image.octets, given.body, &variant.body)
                variants += 1
        return 0


cdef void free_ranges(Ranges *ranges) noexcept:
    free(ranges.high)
    free(ranges.low)
    free(ranges.numbers)
    free(ranges.blocks)


cdef int add_blocks(Ranges *ranges, int shift) except -1:
    """So that a search begins with one look instead of many that miss the cache."""
    cdef uint32_t block, place = 0
    ranges.blocks = <uint32_t *>zeros(BLOCKS + 1, sizeof(uint32_t))
    for block in range(BLOCKS):
        while place + 1 < ranges.count and not is_below_start(ranges, place + 1, <uint64_t>block << shift, 0):
            place += 1
        ranges.blocks[block] = place
    ranges.blocks[BLOCKS] = ranges.count - 1
    return 0


cdef inline bint is_below_start(const Ranges *ranges, uint32_t place, uint64_t high, uint64_t low) noexcept nogil:
    """Whether an address is below the start of a class."""
    return high < ranges.high[place] or (high == ranges.high[place] and ranges.low and low < ranges.low[place])


cdef uint32_t class_of(const Ranges *ranges, const Address *client) noexcept nogil:
    """The place of the last start that is not above an address."""
    cdef uint32_t low = 0, high = ranges.count, middle
    if ranges.blocks:
        middle = client.high >> (16 if client.size == 4 else 48)
        low, high = ranges.blocks[middle], ranges.blocks[middle + 1] + 1
    while high - low > 1:
        middle = (low + high) // 2
        if is_below_start(ranges, middle, client.high, client.low):
            high = middle
        else:
            low = middle
    return low


cdef int common_bits(const Address *client, uint64_t high, uint64_t low) noexcept nogil:
    """How many bits an address shares with another one."""
    cdef uint64_t differs = client.high ^ high
    if client.size == 4:
        return 32 if differs == 0 else leading_zeros(differs) - 32
    if differs:
        return leading_zeros(differs)
    differs = client.low ^ low
    return 64 + leading_zeros(differs) if differs else 128


cdef int scope_of(const Pool *pool, uint32_t place, const Address *client) noexcept nogil:
    """`place`: of the client's class."""
    cdef const Ranges *ranges = &pool.v4 if client.size == 4 else &pool.v6
    cdef const Choice *choice = pool.choices + ranges.numbers[place]
    cdef uint64_t high, low = 0
    cdef int bits = 0
    if place + 1 < ranges.count:
        bits = common_bits(client, ranges.high[place + 1], ranges.low[place + 1] if ranges.low else 0) + 1
    if place:
        high = ranges.high[place]
        if ranges.low:
            high -= 0 if ranges.low[place] else 1
            low = ranges.low[place] - 1
        else:
            high -= 1
        bits = max(bits, common_bits(client, high, low) + 1)
    if choice.count > 1 and choice.by != _BY_ANSWER:
        bits = max(bits, 24 if client.size == 4 else 56)
    return bits


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


cdef const Body *pick(
    const Pool *pool, uint32_t place, const Address *client, double wall_s, uint64_t random_u32
) noexcept nogil:
    """`place`: of the client's class. NULL: the pure function is to say."""
    cdef const Ranges *ranges = &pool.v4 if client.size == 4 else &pool.v6
    cdef const Choice *choice
    cdef const Variant *variants
    cdef uint64_t window = 0, prefix = 0 if client.size == 4 else 1, seed, scattered
    cdef uint32_t best = 0
    cdef double score, lowest = 0
    choice = pool.choices + ranges.numbers[place]
    variants = pool.variants + choice.first
    if choice.by == _SINGLE:
        return &variants.body
    if choice.by == _BY_ANSWER:
        for place in range(choice.count):
            if random_u32 < variants[place].upto:
                return &variants[place].body
        return NULL
    if choice.by == _BY_WINDOW and not window_of(wall_s, pool.ttl_s, &window):
        return NULL
    prefix = prefix << (24 if client.size == 4 else 56) | big_endian(client.octets, 3 if client.size == 4 else 7)
    seed = mix(mix(pool.key ^ prefix) + window)
    for place in range(choice.count):
        scattered = mix(seed ^ variants[place].key) + 1
        score = (<double>scattered if scattered else 18446744073709551616.0) / 18446744073709551616.0
        score = -log(score) / variants[place].weight
        if place == 0 or score < lowest:
            best, lowest = place, score
    return &variants[best].body
