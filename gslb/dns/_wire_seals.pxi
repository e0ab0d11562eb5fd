"""Part of `_wire`: signatures and denials of signed zones in C memory, and finding them. Nothing is signed here, and
what has to be proven is decided elsewhere."""

DEF KEY_BYTES = 520    # of a name whose every octet becomes two, with a wildcard before it


cdef struct Item:
    uint64_t mark          # of a body; or a type
    uint32_t name          # its place
    uint32_t index

cdef struct Index:
    uint32_t *slots        # one more than the place of an item
    Item *items
    uint32_t mask, count

cdef struct Seal:
    uint32_t at, size

cdef struct Denial:
    uint32_t at            # labels, record and seal stand in a buffer, side by side
    uint16_t record_bytes, seal_bytes
    uint8_t label_bytes

cdef struct Chain:
    uint64_t *heads        # the first eight octets of each key
    uint32_t *ends         # of the keys, which stand in a buffer, side by side
    Denial *denials
    uint32_t count         # 0: the zone is not signed
    bint strange           # only the pure function understands it
    Buffer keys            # without what all keys of the zone begin with

cdef struct Seals:
    Buffer octets
    Index by_mark, by_type
    Seal *seals
    Denial *lacking
    Chain *chains          # by zone
    uint32_t zones
    bint signed


cdef class _Seals:
    """`seals`, `lacking` and `chains` of tables as `Seals`, for as long as this object lives. Names and zones are those
    of `names`."""

    cdef Seals image
    cdef object source
    cdef _Names names

    def __cinit__(self, tables, _Names names):
        cdef Py_ssize_t seals = sum([len(marked) for marked in tables.seals.values()])
        self.source, self.names = sources_of_seals(tables), names
        self.image.seals = <Seal *>zeros(seals, sizeof(Seal))
        self.image.lacking = <Denial *>zeros(len(tables.lacking), sizeof(Denial))
        self.image.chains = <Chain *>zeros(len(tables.zones), sizeof(Chain))
        self.image.zones, self.image.signed = len(tables.zones), bool(tables.chains)
        start_index(&self.image.by_mark, seals)
        start_index(&self.image.by_type, len(tables.lacking))
        self.load_seals(tables.seals)
        self.load_lacking(tables.lacking)
        for place, apex in enumerate(tables.zones):
            if apex in tables.chains:
                self.load_chain(self.image.chains + <Py_ssize_t>place, tables.chains[apex], apex)

    def __dealloc__(self):
        cdef uint32_t place
        for place in range(self.image.zones if self.image.chains else 0):
            free(self.image.chains[place].heads)
            free(self.image.chains[place].ends)
            free(self.image.chains[place].denials)
            free(self.image.chains[place].keys.octets)
        free(self.image.octets.octets)
        free(self.image.seals)
        free(self.image.lacking)
        free(self.image.chains)
        free_index(&self.image.by_mark)
        free_index(&self.image.by_type)

    cdef uint32_t place_of(self, bytes name) except? 0xFFFFFFFF:
        """0xFFFFFFFF: there is no such name."""
        cdef const Names *names = &self.names.image
        cdef const Name *found = find(names, <const uint8_t *>PyBytes_AS_STRING(name), PyBytes_GET_SIZE(name))
        return 0xFFFFFFFF if found == NULL else found - names.names

    cdef int load_seals(self, seals) except -1:
        cdef uint32_t name, count = 0
        for owner, marked in seals.items():
            name = self.place_of(owner)
            for mark, octets in marked.items():
                if name == 0xFFFFFFFF or not 0 <= mark < 1 << 64:
                    continue
                self.image.seals[count].size = len(octets)
                self.image.seals[count].at = append(&self.image.octets, octets)
                add_item(&self.image.by_mark, name, mark, count)
                count += 1
        return 0

    cdef int load_lacking(self, lacking) except -1:
        cdef uint32_t name, count = 0
        for (owner, qtype), denial in lacking.items():
            name = self.place_of(owner)
            if name == 0xFFFFFFFF or not 0 <= qtype <= 0xFFFF:
                continue
            load_denial(&self.image.octets, denial, self.image.lacking + count)
            add_item(&self.image.by_type, name, qtype, count)
            count += 1
        return 0

    cdef int load_chain(self, Chain *chain, given, bytes apex) except -1:
        cdef uint32_t place
        cdef bytes common = sort_key(apex), key, last = None
        chain.count = len(given.keys)
        chain.heads = <uint64_t *>zeros(chain.count, sizeof(uint64_t))
        chain.ends = <uint32_t *>zeros(chain.count, sizeof(uint32_t))
        chain.denials = <Denial *>zeros(chain.count, sizeof(Denial))
        chain.strange = len(given.keys) != len(given.denials) or given.keys[:1] != (common,)
        for place, (key, denial) in enumerate(zip(given.keys, given.denials)):
            chain.strange |= not key.startswith(common) or (last is not None and last >= key)
            last, key = key, key[len(common):]
            append(&chain.keys, key)
            chain.ends[place] = chain.keys.used
            chain.heads[place] = head_of(<const uint8_t *>PyBytes_AS_STRING(key), len(key))
            load_denial(&self.image.octets, denial, chain.denials + place)
        return 0


cdef tuple sources_of_seals(tables):
    return tables.names, tables.zones, tables.cuts, tables.seals, tables.lacking, tables.chains


cdef int load_denial(Buffer *buffer, given, Denial *denial) except -1:
    denial.label_bytes, denial.record_bytes, denial.seal_bytes = len(given.labels), len(given.record), len(given.seal)
    denial.at = append(buffer, given.labels)
    append(buffer, given.record)
    append(buffer, given.seal)
    return 0


# What is found by name and mark, or type ------------------------------------------------------------------------------

cdef int start_index(Index *index, uint32_t count) except -1:
    cdef uint32_t room = 8
    while room < 2 * count:
        room *= 2
    index.mask = room - 1
    index.slots = <uint32_t *>zeros(room, sizeof(uint32_t))
    index.items = <Item *>zeros(count, sizeof(Item))
    return 0


cdef void free_index(Index *index) noexcept:
    free(index.slots)
    free(index.items)


cdef void add_item(Index *index, uint32_t name, uint64_t mark, uint32_t value) noexcept:
    cdef uint32_t slot = <uint32_t>mix(mark + name) & index.mask
    while index.slots[slot]:
        slot = slot + 1 & index.mask
    index.items[index.count] = Item(mark, name, value)
    index.count += 1
    index.slots[slot] = index.count


cdef const Item *find_item(const Index *index, uint32_t name, uint64_t mark) noexcept nogil:
    """NULL: there is none."""
    cdef uint32_t slot = <uint32_t>mix(mark + name) & index.mask
    cdef const Item *item
    while index.slots[slot]:
        item = index.items + index.slots[slot] - 1
        if item.name == name and item.mark == mark:
            return item
        slot = slot + 1 & index.mask
    return NULL


# `denial.denial_of`, with keys that begin behind the apex ---------------------------------------------------------------

cdef uint64_t head_of(const uint8_t *key, int size) noexcept nogil:
    return big_endian(key, min(size, 8)) << 8 * (8 - min(size, 8)) if size else 0


cdef int add_label(uint8_t *key, int size, const uint8_t *label) noexcept nogil:
    """Write a label, which starts with its length, behind a key of `size` octets. How long the key is then."""
    cdef int place
    for place in range(1, label[0] + 1):
        if label[place] < 2:
            key[size], key[size + 1] = 1, label[place] + 1
            size += 2
        else:
            key[size] = label[place]
            size += 1
    key[size] = 0
    return size + 1


cdef const Denial *denial_of(const Chain *chain, const uint8_t *key, int size) noexcept nogil:
    """The last whose key is not above this one; the first is below all."""
    cdef uint64_t head = head_of(key, size)
    cdef uint32_t low = 0, high = chain.count, middle, start, length
    cdef int order
    while high - low > 1:
        middle = (low + high) // 2
        if chain.heads[middle] != head:
            order = -1 if chain.heads[middle] < head else 1
        else:
            start = chain.ends[middle - 1]
            length = chain.ends[middle] - start
            order = memcmp(chain.keys.octets + start, key, min(length, <uint32_t>size))
            if order == 0:
                order = 1 if length > <uint32_t>size else -1
        if order > 0:
            high = middle
        else:
            low = middle
    return chain.denials + low
