"""Part of `_wire`: one reply, from a query and the tables. Whatever is not decided here is NULL, 0 or False: the pure
function is to say."""

DEF PARTS = 20


cdef struct Counts:
    uint64_t queries, noerror, nxdomain, badcookie, truncated, dropped, send_failed, limited
    uint64_t cookies_good, cookies_new, cookies_bad, subnets

cdef struct Turn:          # what a reply is made with, beside the query
    const View *view
    const Gate *gate       # NULL: nobody is limited
    Address peer
    double mono_s
    uint64_t random_u32
    Counts *counts

cdef struct Part:
    const uint8_t *octets
    Py_ssize_t size

cdef struct Found:
    int rcode, answers, authorities, extras, parts
    Part part[PARTS]       # of the answer and authority sections, one behind the other
    Part extra
    Part kind              # what a limiter counts it as
    uint8_t apex[2]        # a pointer to it in the question
    const Pool *pool       # what it was drawn from; NULL: it is the same for all
    uint32_t place         # of the class there


cdef inline void put(Found *found, const uint8_t *octets, Py_ssize_t size) noexcept nogil:
    found.part[found.parts] = Part(octets, size)
    found.parts += 1


cdef bint look_up(const View *view, const Asked *asked, const Address *client, const Turn *turn, Found *found) noexcept nogil:
    """Fill `found`, where the answer is simple."""
    cdef const Names *names = view.names
    cdef const Name *name = find(names, asked.low, asked.name_bytes) if asked.labels <= <int>names.labels else NULL
    cdef const Content *content
    cdef const Body *body
    cdef const uint8_t *octets
    cdef bint dnssec = asked.dnssec_ok and view.seals.signed
    found.parts = found.rcode = found.answers = found.authorities = found.extras = 0
    found.extra = Part(NULL, 0)
    found.pool = NULL
    if name == NULL:
        return deny_name(view, asked, dnssec, found)
    content = content_of(names, name, asked.qtype)
    if name.flags & (EXISTS | STRANGE) != EXISTS or (dnssec and (name.flags & CUT or not name.zone)):
        return False
    if content == NULL:
        return deny_type(view, asked, name, dnssec, found)
    if content.is_pool:
        if content.index >= view.pool_count:
            return False
        found.pool = view.pools[content.index]
        if not found.pool.ours:
            return False
        found.place = class_of(&found.pool.v4 if client.size == 4 else &found.pool.v6, client)
        body = pick(found.pool, found.place, client, turn.mono_s + view.wall_offset_s, turn.random_u32)
        if body == NULL or not body.ours:
            return False
        if body.answers == 0:
            return deny_type(view, asked, name, dnssec, found)
        octets = found.pool.octets.octets + body.at
    else:
        body = names.bodies + content.index
        if not body.ours or body.answers == 0:
            return False
        octets = names.octets.octets + body.at
    found.kind = Part(&asked.low[0], asked.name_bytes)
    found.answers, found.authorities, found.extras = body.answers, body.authorities, body.extras
    put(found, octets, body.records_bytes)
    if dnssec and not add_seal(view, name, body, octets, found):
        return False
    put(found, octets + body.records_bytes, body.authority_bytes)
    found.extra = Part(octets + body.records_bytes + body.authority_bytes, body.extra_bytes)
    return True


cdef bint add_seal(const View *view, const Name *name, const Body *body, const uint8_t *records, Found *found) noexcept nogil:
    """The signature of records, with their TTL, where there is one."""
    cdef const Item *item
    cdef const Seal *seal
    cdef const uint8_t *octets
    if body.authorities or body.authority_bytes:
        return False
    if not view.seals.chains[name.zone - 1].count or not body.mark:
        return True
    item = find_item(&view.seals.by_mark, name - view.names.names, body.mark)
    if item == NULL:
        return True
    seal = view.seals.seals + item.index
    if seal.size < 10 or body.records_bytes < 10:
        return False
    octets = view.seals.octets.octets + seal.at
    put(found, octets, 6)
    put(found, records + 6, 4)
    put(found, octets + 10, seal.size - 10)
    found.answers += 1
    return True


# Negative answers (RFC 2308 section 2) without alias, wildcard or delegation ----------------------------------------------

cdef bint deny_type(const View *view, const Asked *asked, const Name *name, bint dnssec, Found *found) noexcept nogil:
    """NODATA of a name that is there."""
    cdef const Item *item
    cdef const Chain *chain
    cdef uint8_t key[KEY_BYTES]
    if asked.qtype == DS or asked.qtype == RRSIG or asked.qtype == NSEC or name.flags & (CUT | ALIAS | STRANGE):
        return False
    if not name.zone or not add_soa(view, asked, name.zone - 1, dnssec, found):
        return False
    if found.authorities == 1:
        return True
    chain = view.seals.chains + (name.zone - 1)
    item = NULL
    if content_of(view.names, name, asked.qtype) != NULL:
        item = find_item(&view.seals.by_type, name - view.names.names, asked.qtype)
    if item != NULL:
        add_denial(view, view.seals.lacking + item.index, found)
    else:
        add_denial(view, denial_of(chain, key, key_of(view, asked, 0, name.zone - 1, key)), found)
    return True


cdef bint deny_name(const View *view, const Asked *asked, bint dnssec, Found *found) noexcept nogil:
    """NXDOMAIN, below the longest name that is there. Names with more labels than any have need not be looked for."""
    cdef int label = max(1, asked.labels - <int>view.names.labels), size
    cdef const Name *encloser = NULL
    cdef const Denial *first
    cdef const Denial *second
    cdef uint8_t key[KEY_BYTES]
    while encloser == NULL and label <= asked.labels:
        encloser = find(view.names, asked.low + asked.starts[label], asked.name_bytes - asked.starts[label])
        label += 1
    if encloser == NULL or not encloser.zone or asked.qtype == DS or asked.labels == 0:
        return False
    if encloser.flags & (EXISTS | CUT | REDIRECTED | WILD | STRANGE) != EXISTS:
        return False
    if not add_soa(view, asked, encloser.zone - 1, dnssec, found):
        return False
    found.rcode = NXDOMAIN
    if found.authorities == 1:
        return True
    first = denial_of(view.seals.chains + (encloser.zone - 1), key, key_of(view, asked, 0, encloser.zone - 1, key))
    size = key_of(view, asked, label - 1, encloser.zone - 1, key)
    size = add_label(key, size, <const uint8_t *>b"\1*")
    second = denial_of(view.seals.chains + (encloser.zone - 1), key, size)
    add_denial(view, first, found)
    if second != first:
        add_denial(view, second, found)
    return True


cdef bint add_soa(const View *view, const Asked *asked, uint32_t zone, bint dnssec, Found *found) noexcept nogil:
    """The SOA record and, where it is to be proven that something is missing, its signature."""
    cdef const Zone *known = view.names.zones + zone
    cdef const uint8_t *soa = view.names.octets.octets + known.soa
    cdef const Chain *chain = view.seals.chains + zone
    cdef const Item *item
    cdef const Seal *seal
    if known.soa_bytes > KIND_BYTES:
        return False
    put16(found.apex, 0xC000 | HEADER + asked.name_bytes - known.apex_bytes)
    found.kind, found.authorities = Part(soa, known.soa_bytes), 1
    put(found, found.apex, 2)
    put(found, soa, known.soa_bytes)
    if dnssec and chain.count:
        item = find_item(&view.seals.by_mark, known.apex, SOA)
        if item == NULL or chain.strange:
            return False
        seal = view.seals.seals + item.index
        put(found, found.apex, 2)
        put(found, view.seals.octets.octets + seal.at + 2, seal.size - 2)
        found.authorities = 2
    return True


cdef void add_denial(const View *view, const Denial *denial, Found *found) noexcept nogil:
    cdef const uint8_t *octets = view.seals.octets.octets + denial.at
    put(found, octets, denial.label_bytes)
    put(found, found.apex, 2)
    put(found, octets + denial.label_bytes, denial.record_bytes)
    put(found, octets, denial.label_bytes)
    put(found, found.apex, 2)
    put(found, octets + denial.label_bytes + denial.record_bytes, denial.seal_bytes)
    found.authorities += 2


cdef int key_of(const View *view, const Asked *asked, int label, uint32_t zone, uint8_t *key) noexcept nogil:
    """`denial.sort_key` of the name from a label on, without what it shares with the apex. How long it is."""
    cdef int place = asked.labels, size = 0, apex = asked.name_bytes - view.names.zones[zone].apex_bytes
    while place > label:
        place -= 1
        if asked.starts[place] < apex:
            size = add_label(key, size, asked.low + asked.starts[place])
    return size


# The reply itself ---------------------------------------------------------------------------------------------------------

cdef inline void put16(uint8_t *out, unsigned int number) noexcept nogil:
    out[0], out[1] = number >> 8 & 0xFF, number & 0xFF


cdef Py_ssize_t write_opt(const Asked *asked, int rcode, Py_ssize_t option_bytes, uint8_t *out) noexcept nogil:
    """`edns.opt_record`, before its options."""
    memcpy(out, b"\0\0\x29\x04\xd0\0\0\0\0", 9)
    out[5] = rcode >> 4
    out[7] = 0x80 if asked.dnssec_ok else 0
    put16(out + 9, option_bytes)
    return OPT_BYTES


cdef inline Py_ssize_t write_option(int code, const uint8_t *data, Py_ssize_t size, uint8_t *out) noexcept nogil:
    put16(out, code)
    put16(out + 2, size)
    memcpy(out + 4, data, size)
    return 4 + size


cdef Py_ssize_t write_options(
    const View *view, const Asked *asked, const Stamp *stamp, const Found *found, uint8_t *out
) noexcept nogil:
    """`edns.options_for`. How long they are."""
    cdef Py_ssize_t at = 0
    if stamp.there:
        at += write_option(COOKIE, stamp.cookie, COOKIE_BYTES, out)
    if asked.subnet and view.ecs:
        at += write_option(SUBNET, asked.subnet, asked.subnet_bytes, out + at)
        if found.pool and asked.named.size:
            out[at - asked.subnet_bytes + 3] = scope_of(found.pool, found.place, &asked.named)
    if asked.nsid and view.identity_bytes:
        at += write_option(NSID, view.identity, view.identity_bytes, out + at)
    return at


cdef Py_ssize_t write_reply(
    const View *view, const Asked *asked, const Stamp *stamp, Found *found, uint8_t *out
) noexcept nogil:
    """`wire._fitted`: into at least `limit_bytes` of room. The length of the reply."""
    cdef uint8_t options[OPTIONS_LIMIT]
    cdef Py_ssize_t at = HEADER + asked.question_bytes, option_bytes = 0, room = asked.limit_bytes - at
    cdef int flags = QR | AA, place
    if asked.edns:
        option_bytes = write_options(view, asked, stamp, found, options)
        room -= OPT_BYTES + option_bytes
    for place in range(found.parts):
        room -= found.part[place].size
    if found.extra.size > room:
        found.extra, found.extras = Part(NULL, 0), 0
        if room < 0:
            found.parts = found.answers = found.authorities = 0
            flags |= TC
    memcpy(out, asked.packet, at)
    out[2] = flags | asked.packet[2] & RD
    out[3] = asked.packet[3] & CD | found.rcode
    put16(out + 6, found.answers)
    put16(out + 8, found.authorities)
    put16(out + 10, found.extras + (1 if asked.edns else 0))
    for place in range(found.parts):
        memcpy(out + at, found.part[place].octets, found.part[place].size)
        at += found.part[place].size
    if found.extra.size:
        memcpy(out + at, found.extra.octets, found.extra.size)
        at += found.extra.size
    if asked.edns:
        at += write_opt(asked, 0, option_bytes, out + at)
        memcpy(out + at, options, option_bytes)
        at += option_bytes
    return at


cdef Py_ssize_t write_limited(const Asked *asked, const Stamp *stamp, uint8_t *out) noexcept nogil:
    """`wire._limited`."""
    cdef Py_ssize_t at = HEADER + asked.question_bytes
    cdef bint refused = stamp.there and asked.cookie_bytes >= COOKIE_BYTES
    memcpy(out, asked.packet, at)
    out[2] = QR | (0 if refused else TC) | asked.packet[2] & RD
    out[3] = asked.packet[3] & CD | (BADCOOKIE & 0xF if refused else 0)
    memset(out + 6, 0, 6)
    out[11] = 1 if asked.edns else 0
    if asked.edns:
        at += write_opt(asked, BADCOOKIE if refused else 0, 4 + COOKIE_BYTES if refused else 0, out + at)
        if refused:
            at += write_option(COOKIE, stamp.cookie, COOKIE_BYTES, out + at)
    return at


cdef void note(const Asked *asked, const Stamp *stamp, const View *view, Counts *counts) noexcept nogil:
    """`Meter.note`."""
    if stamp.there and stamp.good:
        counts.cookies_good += 1
    elif stamp.there and stamp.alone:
        counts.cookies_new += 1
    elif stamp.there:
        counts.cookies_bad += 1
    if asked.subnet and view.ecs:
        counts.subnets += 1


cdef Py_ssize_t reply_to(const Asked *asked, Turn *turn, uint8_t *out) noexcept nogil:
    """Write the reply, count what `Meter` counts, and return its length; 0: the pure function is to say."""
    cdef const View *view = turn.view
    cdef const Address *client = &turn.peer
    cdef Found found
    cdef Stamp stamp
    if asked.nsid and view.identity_bytes > IDENTITY_BYTES:
        return 0
    if asked.subnet and view.ecs and asked.named.size:
        client = &asked.named
    if not judge(view, asked, &turn.peer, turn.mono_s + view.wall_offset_s, &stamp):
        return 0
    if not look_up(view, asked, client, turn, &found):
        return 0
    note(asked, &stamp, view, turn.counts)
    if turn.gate and not stamp.good and not take(turn.gate, &turn.peer, found.kind.octets, found.kind.size, turn.mono_s):
        turn.counts.limited += 1
        return write_limited(asked, &stamp, out)
    return write_reply(view, asked, &stamp, &found, out)
