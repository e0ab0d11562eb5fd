"""Part of `_wire`: `query.parse` for one question with at most an OPT record, and `cookies.stamp`. What is malformed, or
anything else, is left to the pure function. Nothing here sees the tables."""

DEF NSID = 3
DEF SUBNET = 8
DEF COOKIE = 10
DEF KEEPALIVE = 11
DEF CLIENT_COOKIE_BYTES = 8
DEF COOKIE_BYTES = 24
DEF HASH_AT = 16
DEF LABELS = 128


cdef struct Asked:
    const uint8_t *packet
    Py_ssize_t name_bytes, question_bytes, limit_bytes
    int qtype
    int labels                     # how many, without the root
    uint8_t low[NAME_LIMIT]        # the name in lower case
    uint8_t starts[LABELS]         # of its labels, and of the root
    bint edns, dnssec_ok, tcp
    const uint8_t *cookie          # data of the options; NULL: not sent
    const uint8_t *subnet
    int cookie_bytes, subnet_bytes
    bint nsid
    Address named                  # the subnet's address, filled with zeros; size 0: none

cdef struct Stamp:
    bint there, good, alone        # `alone`: the client has none of ours yet
    uint8_t cookie[COOKIE_BYTES]


cdef bint read_query(const uint8_t *packet, Py_ssize_t size, bint tcp, Asked *asked) noexcept nogil:
    """Whether it is one question for us: opcode QUERY, class IN, an ordinary type, nothing behind it but at most an OPT
    record of version 0."""
    cdef Py_ssize_t end
    if size < HEADER + 5 or packet[2] & (QR | OPCODE) or packet[4] or packet[5] != 1:
        return False
    if packet[6] or packet[7] or packet[8] or packet[9] or packet[10] or packet[11] > 1:
        return False
    asked.packet, asked.tcp, asked.edns = packet, tcp, packet[11] == 1
    end = read_name(packet, size, asked)
    if end == 0 or end + 4 > size:
        return False
    asked.qtype = packet[end] << 8 | packet[end + 1]
    if packet[end + 2] or packet[end + 3] != 1:
        return False
    if asked.qtype == 0 or asked.qtype == OPT or 128 <= asked.qtype <= 255:
        return False
    asked.question_bytes = asked.name_bytes + 4
    asked.limit_bytes = TCP_LIMIT if tcp else PLAIN_UDP_LIMIT
    asked.dnssec_ok = asked.nsid = False
    asked.cookie = asked.subnet = NULL
    asked.named.size = 0
    if asked.edns:
        return read_opt(packet + end + 4, size - end - 4, asked)
    return size == end + 4


cdef Py_ssize_t read_name(const uint8_t *packet, Py_ssize_t size, Asked *asked) noexcept nogil:
    """Where the name of the question ends; 0: it does not, or is too long."""
    cdef Py_ssize_t offset = HEADER, stop
    cdef uint8_t octet
    asked.labels = 0
    while True:
        if offset >= size or packet[offset] > 63 or offset - HEADER >= NAME_LIMIT:
            return 0
        asked.starts[asked.labels] = offset - HEADER
        stop = offset + packet[offset] + 1
        if stop > size or stop - HEADER > NAME_LIMIT:
            return 0
        asked.low[offset - HEADER] = packet[offset]
        if stop == offset + 1:
            asked.name_bytes = stop - HEADER
            return stop
        asked.labels += 1
        offset += 1
        while offset < stop:
            octet = packet[offset]
            asked.low[offset - HEADER] = octet + (32 if 65 <= octet <= 90 else 0)
            offset += 1


cdef bint read_opt(const uint8_t *opt, Py_ssize_t size, Asked *asked) noexcept nogil:
    cdef Py_ssize_t offset = OPT_BYTES, length
    cdef const uint8_t *data
    cdef int code
    if size < OPT_BYTES or opt[0] or opt[1] or opt[2] != OPT or opt[6]:
        return False
    if size != OPT_BYTES + (opt[9] << 8 | opt[10]):
        return False
    asked.dnssec_ok = opt[7] & 0x80
    if not asked.tcp:
        asked.limit_bytes = min(max(opt[3] << 8 | opt[4], PLAIN_UDP_LIMIT), UDP_LIMIT)
    while offset < size:
        if offset + 4 > size:
            return False
        code, length, data = opt[offset] << 8 | opt[offset + 1], opt[offset + 2] << 8 | opt[offset + 3], opt + offset + 4
        offset += 4 + length
        if offset > size:
            return False
        if not take_option(code, data, length, asked):
            return False
    return (not asked.cookie or asked.cookie_bytes == CLIENT_COOKIE_BYTES or 16 <= asked.cookie_bytes <= 40) and (
        not asked.subnet or read_subnet(asked)
    )


cdef bint take_option(int code, const uint8_t *data, Py_ssize_t size, Asked *asked) noexcept nogil:
    """The first of each code counts, and unknown ones do not."""
    if code == COOKIE and not asked.cookie:
        asked.cookie, asked.cookie_bytes = data, size
    elif code == SUBNET and not asked.subnet:
        asked.subnet, asked.subnet_bytes = data, size
    elif code == NSID:
        asked.nsid = True
    elif code == KEEPALIVE and asked.tcp:
        return False
    return True


cdef bint read_subnet(Asked *asked) noexcept nogil:
    """`subnet.parse_subnet`."""
    cdef const uint8_t *data = asked.subnet
    cdef int size, bits, length = asked.subnet_bytes - 4
    cdef uint8_t address[16]
    if length < 0 or data[0]:
        return False
    if data[1] == 0 and asked.subnet_bytes == 4 and data[2] == 0 and data[3] == 0:
        asked.subnet = NULL
        return True
    size, bits = 4 if data[1] == 1 else 16, data[2]
    if not 1 <= data[1] <= 2 or bits > size * 8 or data[3] or length != (bits + 7) // 8:
        return False
    if bits % 8 and data[3 + length] & 0xFF >> bits % 8:
        return False
    if bits:
        memset(address, 0, 16)
        memcpy(address, data + 4, length)
        take_address(&asked.named, address, size)
    return True


cdef bint judge(const View *view, const Asked *asked, const Address *peer, double wall_s, Stamp *stamp) noexcept nogil:
    """`cookies.stamp`, where there is a cookie and a secret. False: the pure function is to say."""
    cdef uint8_t text[HASH_AT + 16]
    cdef uint64_t proof
    cdef int place
    cdef uint32_t now_s
    cdef int64_t age_s
    stamp.there = stamp.good = stamp.alone = False
    if not asked.cookie or not view.secret_count:
        return True
    if view.secret_count > SECRETS or not -1e18 < wall_s < 1e18:
        return False
    now_s = <uint32_t><int64_t>wall_s
    stamp.there, stamp.alone = True, asked.cookie_bytes == CLIENT_COOKIE_BYTES
    if asked.cookie_bytes == COOKIE_BYTES and asked.cookie[CLIENT_COOKIE_BYTES] == 1:
        age_s = <int32_t>(now_s - <uint32_t>big_endian(asked.cookie + 12, 4))
        if -300 <= age_s <= 3600:
            memcpy(text, asked.cookie, HASH_AT)
            memcpy(text + HASH_AT, peer.octets, peer.size)
            proof = little_endian(asked.cookie + HASH_AT, 8)
            for place in range(view.secret_count):
                if siphash(view.secrets + place, text, HASH_AT + peer.size) == proof:
                    stamp.good = True
                    break
            if stamp.good and place == 0 and age_s < 1800:
                memcpy(stamp.cookie, asked.cookie, COOKIE_BYTES)
                return True
    memcpy(text, asked.cookie, CLIENT_COOKIE_BYTES)
    memcpy(text + CLIENT_COOKIE_BYTES, b"\1\0\0\0", 4)
    for place in range(4):
        text[12 + place] = now_s >> 24 - 8 * place & 0xFF
    memcpy(text + HASH_AT, peer.octets, peer.size)
    memcpy(stamp.cookie, text, HASH_AT)
    proof = siphash(view.secrets, text, HASH_AT + peer.size)
    for place in range(8):
        stamp.cookie[HASH_AT + place] = proof >> 8 * place & 0xFF
    return True
