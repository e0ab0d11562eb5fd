"""Part of `_wire`: octets in C memory, the hash that finds them, and words that two threads share. Nothing of DNS."""

cdef extern from *:
    """
    #if PY_VERSION_HEX >= 0x030E0000
    #define octets_hash(octets, size) Py_HashBuffer(octets, size)
    #else
    extern Py_hash_t _Py_HashBytes(const void *, Py_ssize_t);
    #define octets_hash(octets, size) _Py_HashBytes(octets, size)
    #endif
    #define acquire(place) __atomic_load_n(place, __ATOMIC_ACQUIRE)
    #define release(place, value) __atomic_store_n(place, value, __ATOMIC_RELEASE)
    #define in_order(place) __atomic_load_n(place, __ATOMIC_SEQ_CST)
    #define set_in_order(place, value) __atomic_store_n(place, value, __ATOMIC_SEQ_CST)
    static inline double relaxed(double *place) {
        double value;
        __atomic_load(place, &value, __ATOMIC_RELAXED);
        return value;
    }
    #define leading_zeros(word) __builtin_clzll(word)
    static inline void set_relaxed(double *place, double value) { __atomic_store(place, &value, __ATOMIC_RELAXED); }
    """
    Py_ssize_t octets_hash(const void *, Py_ssize_t) noexcept nogil  # what `hash` says of bytes; keyed anew by process
    uint32_t acquire(uint32_t *) noexcept nogil
    void release(uint32_t *, uint32_t) noexcept nogil
    void *in_order(void **) noexcept nogil
    void set_in_order(void **, void *) noexcept nogil
    double relaxed(double *) noexcept nogil
    int leading_zeros(uint64_t) noexcept nogil  # of a word that is not 0
    void set_relaxed(double *, double) noexcept nogil


cdef struct Buffer:
    uint8_t *octets
    size_t used, room


cdef int make_room(Buffer *buffer, size_t size) except -1:
    cdef uint8_t *octets
    cdef size_t room
    if buffer.used + size > 0xFFFFFFFF:
        raise MemoryError
    if buffer.used + size > buffer.room:
        room = max(buffer.used + size, buffer.room + buffer.room // 2)
        octets = <uint8_t *>realloc(buffer.octets, room)
        if octets == NULL:
            raise MemoryError
        buffer.octets, buffer.room = octets, room
    return 0


cdef uint32_t append(Buffer *buffer, bytes octets) except? 0xFFFFFFFF:
    """Where they are now."""
    cdef size_t size = PyBytes_GET_SIZE(octets), at = buffer.used
    make_room(buffer, size)
    if size:
        memcpy(buffer.octets + at, PyBytes_AS_STRING(octets), size)
    buffer.used += size
    return at


cdef void *zeros(size_t count, size_t size) except NULL:
    cdef void *made = calloc(max(count, <size_t>1), size)
    if made == NULL:
        raise MemoryError
    return made


# SipHash-2-4 (Aumasson and Bernstein, 2012) of short texts ------------------------------------------------------------

cdef struct Key:
    uint64_t low, high


cdef inline uint64_t rotated(uint64_t word, int bits) noexcept nogil:
    return word << bits | word >> (64 - bits)


cdef inline void scramble(uint64_t *v, int rounds) noexcept nogil:
    cdef int _
    for _ in range(rounds):
        v[0] += v[1]
        v[1] = rotated(v[1], 13) ^ v[0]
        v[0] = rotated(v[0], 32)
        v[2] += v[3]
        v[3] = rotated(v[3], 16) ^ v[2]
        v[0] += v[3]
        v[3] = rotated(v[3], 21) ^ v[0]
        v[2] += v[1]
        v[1] = rotated(v[1], 17) ^ v[2]
        v[2] = rotated(v[2], 32)


cdef uint64_t little_endian(const uint8_t *octets, int size) noexcept nogil:
    cdef uint64_t word = 0
    cdef int place
    for place in range(size):
        word |= <uint64_t>octets[place] << 8 * place
    return word


cdef uint64_t siphash(const Key *key, const uint8_t *text, int size) noexcept nogil:
    cdef uint64_t v[4]
    cdef uint64_t word
    cdef int at = 0
    v[0], v[1] = key.low ^ <uint64_t>0x736F6D6570736575, key.high ^ <uint64_t>0x646F72616E646F6D
    v[2], v[3] = key.low ^ <uint64_t>0x6C7967656E657261, key.high ^ <uint64_t>0x7465646279746573
    while at <= size:
        if at + 8 <= size:
            word = little_endian(text + at, 8)
        else:
            word = little_endian(text + at, size - at) | <uint64_t>(size & 0xFF) << 56
        v[3] ^= word
        scramble(v, 2)
        v[0] ^= word
        at += 8
    v[2] ^= 0xFF
    scramble(v, 4)
    return v[0] ^ v[1] ^ v[2] ^ v[3]
