"""Part of `_wire`: every name of the tables in C memory, with what it has. Which answer that makes is decided elsewhere.

All names are octets in one buffer and are found by hash (open addressing, at most half full). Offsets and indices stand
where pointers would take twice the room.
"""

DEF EXISTS = 1      # in `names`; without it, only an apex or a cut
DEF CUT = 2
DEF ALIAS = 4       # has a CNAME record
DEF REDIRECTED = 8  # has a DNAME record
DEF WILD = 16       # its names that do not exist have a wildcard
DEF STRANGE = 32    # has what only the pure function understands
DEF COUNT_LIMIT = 32768


cdef struct Body:
    uint64_t mark
    uint32_t at            # the octets of records, authority and extra stand in a buffer, side by side
    uint32_t records_bytes, authority_bytes, extra_bytes
    uint16_t answers, authorities, extras
    uint16_t ours

cdef struct Content:
    uint16_t qtype
    bint is_pool
    uint32_t index         # of a pool, or of a body

cdef struct Zone:
    uint32_t soa, soa_bytes
    uint32_t apex, apex_bytes  # `apex`: the place of its name

cdef struct Name:
    uint32_t at, first, zone  # its octets, its first content, and one more than the place of the zone that it is in
    uint16_t contents
    uint8_t size, flags

cdef struct Names:
    Buffer octets
    Name *names
    Content *contents
    Body *bodies
    Zone *zones
    uint64_t *slots        # the low half: one more than the place of a name; the high half: of its hash
    uint64_t mask
    uint32_t count, labels  # `labels`: of the name that has most


cdef bint load(Buffer *buffer, object given, Body *body) except -1:
    """Copy a `Body`. False where it is not for us."""
    body.answers = body.ours = 0
    if type(given) is not GivenBody or given.referral:
        return False
    if not (0 <= given.answers < COUNT_LIMIT and 0 <= given.extras < COUNT_LIMIT and 0 <= given.mark < 1 << 64):
        return False
    if not 0 <= given.authorities < COUNT_LIMIT:
        return False
    body.answers, body.authorities, body.extras = given.answers, given.authorities, given.extras
    body.mark = given.mark
    body.records_bytes, body.authority_bytes = len(given.records), len(given.authority)
    body.extra_bytes = len(given.extra)
    body.at = append(buffer, given.records)
    append(buffer, given.authority)
    append(buffer, given.extra)
    body.ours = True
    return True


cdef const Name *find(const Names *names, const uint8_t *text, Py_ssize_t size) noexcept nogil:
    """The name of these lower-case octets. NULL: there is none."""
    cdef uint64_t hashed = <uint64_t>octets_hash(text, size), place = hashed & names.mask, slot
    cdef const Name *name
    while True:
        slot = names.slots[place]
        if slot == 0:
            return NULL
        if slot >> 32 == hashed >> 32:
            name = names.names + (<uint32_t>slot - 1)
            if name.size == size and memcmp(names.octets.octets + name.at, text, size) == 0:
                return name
        place = place + 1 & names.mask


cdef const Content *content_of(const Names *names, const Name *name, int qtype) noexcept nogil:
    cdef const Content *content = names.contents + name.first
    cdef int place
    for place in range(name.contents):
        if content[place].qtype == qtype:
            return content + place
    return NULL


cdef class _Names:
    """`names`, `zones` and `cuts` of tables as `Names`, for as long as this object lives."""

    cdef Names image
    cdef object source

    def __cinit__(self, tables):
        cdef set owners = {*tables.names, *tables.zones, *tables.cuts}
        owners = {owner for owner in owners if 0 < len(owner) <= NAME_LIMIT}
        cdef Py_ssize_t contents = sum([len(entry) for entry in tables.names.values()])
        self.source = sources_of_names(tables)
        cdef uint64_t room = 8
        while room < 2 * <uint64_t>len(owners):
            room *= 2
        self.image.mask = room - 1
        self.image.slots = <uint64_t *>zeros(room, sizeof(uint64_t))
        self.image.names = <Name *>zeros(len(owners), sizeof(Name))
        self.image.contents = <Content *>zeros(contents, sizeof(Content))
        self.image.bodies = <Body *>zeros(contents, sizeof(Body))
        self.image.zones = <Zone *>zeros(len(tables.zones), sizeof(Zone))
        self.fill(owners, tables.names, tables.cuts)
        self.place_zones(tables.zones)
        self.place_wildcards()

    def __dealloc__(self):
        free(self.image.octets.octets)
        free(self.image.names)
        free(self.image.contents)
        free(self.image.bodies)
        free(self.image.zones)
        free(self.image.slots)

    cdef int fill(self, set owners, names, cuts) except -1:
        cdef uint32_t contents = 0, bodies = 0
        cdef Name *name
        for owner in owners:
            name = self.add(owner)
            name.flags = CUT if owner in cuts else 0
            entry = names.get(owner)
            if entry is None:
                continue
            name.flags |= EXISTS | (ALIAS if 5 in entry else 0) | (REDIRECTED if 39 in entry else 0)
            name.first = contents
            for qtype, content in entry.items():
                if not 0 <= qtype <= 0xFFFF or contents - name.first == 0xFFFF:
                    name.flags |= STRANGE
                    continue
                self.image.contents[contents].qtype = qtype
                if isinstance(content, int):
                    self.image.contents[contents].is_pool = True
                    self.image.contents[contents].index = content if 0 <= content < 0xFFFFFFFF else 0xFFFFFFFF
                else:
                    load(&self.image.octets, content, self.image.bodies + bodies)
                    self.image.contents[contents].index = bodies
                    bodies += 1
                contents += 1
            name.contents = contents - name.first
        return 0

    cdef Name *add(self, bytes owner) except NULL:
        cdef Name *name = self.image.names + self.image.count
        cdef const uint8_t *octets = <const uint8_t *>PyBytes_AS_STRING(owner)
        cdef uint64_t hashed = <uint64_t>octets_hash(octets, PyBytes_GET_SIZE(owner)), place = hashed & self.image.mask
        cdef uint32_t labels = 0
        cdef Py_ssize_t at = 0
        name.size, name.at = PyBytes_GET_SIZE(owner), append(&self.image.octets, owner)
        while self.image.slots[place]:
            place = place + 1 & self.image.mask
        self.image.count += 1
        self.image.slots[place] = hashed >> 32 << 32 | self.image.count
        while at < PyBytes_GET_SIZE(owner) and octets[at]:
            at += octets[at] + 1
            labels += 1
        self.image.labels = max(self.image.labels, labels)
        return name

    cdef int place_zones(self, zones) except -1:
        """Each apex gets its SOA record, and each name its zone: that of the longest name it ends in."""
        cdef uint32_t place
        cdef Py_ssize_t at
        cdef const uint8_t *octets
        cdef const Name *above
        cdef Name *name
        for place, (apex, soa) in enumerate(zones.items()):
            self.image.zones[place].soa_bytes = len(soa)
            self.image.zones[place].soa = append(&self.image.octets, soa)
            name = <Name *>find(&self.image, <const uint8_t *>PyBytes_AS_STRING(apex), PyBytes_GET_SIZE(apex))
            if name != NULL:
                name.zone = place + 1
                self.image.zones[place].apex, self.image.zones[place].apex_bytes = name - self.image.names, name.size
        for place in range(self.image.count):
            name, at = self.image.names + place, 0
            octets = self.image.octets.octets + name.at
            while not name.zone and at < name.size and octets[at]:
                at += octets[at] + 1
                if at < name.size:
                    above = find(&self.image, octets + at, name.size - at)
                    if above != NULL and above.zone:
                        name.zone = above.zone
        return 0

    cdef int place_wildcards(self) except -1:
        cdef uint32_t place
        cdef const uint8_t *octets
        cdef Name *above
        cdef Name *name
        for place in range(self.image.count):
            name = self.image.names + place
            octets = self.image.octets.octets + name.at
            if name.flags & EXISTS and name.size > 2 and octets[0] == 1 and octets[1] == 42:
                above = <Name *>find(&self.image, octets + 2, name.size - 2)
                if above != NULL:
                    above.flags |= WILD
        return 0


cdef tuple sources_of_names(tables):
    return tables.names, tables.zones, tables.cuts


cdef bint are_same(tuple some, tuple others):
    for one, other in zip(some, others):
        if one is not other:
            return False
    return True
