"""Part of `_wire`: datagrams by the batch, between the kernel and `reply_to`, without the GIL. What a reply says is not
decided here."""

cdef extern from "<netinet/in.h>" nogil:
    ctypedef unsigned short sa_family_t
    int AF_INET, IPPROTO_IP, IP_PKTINFO
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
    ssize_t sendmsg(int, msghdr *, int)

DEF BATCH = 64
DEF DATAGRAMS_PER_WAKEUP = 256
DEF PACKET_LIMIT = 4096
DEF STRIDE = PACKET_LIMIT + 64   # not a power of two, or the start of every packet would meet in one set of the cache
DEF CONTROL = 64
DEF WAITING = 512                # as many small datagrams as the kernel's default buffer holds


cdef struct Handed:              # a datagram that waits for Python
    int fd
    bint sampled
    uint32_t size
    unsigned int name_bytes, control_bytes
    sockaddr_in6 name
    uint8_t control[CONTROL]
    uint8_t packet[PACKET_LIMIT]

cdef struct Lane:                # what one thread works with
    void *in_use                 # the View that it answers from at the moment
    Counts counts
    uint64_t state, sample_every, passed
    uint32_t taken, given        # of `waiting`, so far: by Python, and to it
    mmsghdr messages[BATCH]
    iovec vectors[BATCH]
    sockaddr_in6 names[BATCH]
    uint8_t controls[BATCH][CONTROL]
    uint8_t packets[BATCH][STRIDE]
    mmsghdr replies[BATCH]
    iovec reply_vectors[BATCH]
    uint8_t outs[BATCH][UDP_LIMIT]
    Handed waiting[WAITING]


cdef void start_lane(Lane *lane, uint64_t seed, uint64_t sample_every) noexcept nogil:
    cdef int place
    lane.state, lane.sample_every = seed, sample_every
    for place in range(BATCH):
        lane.vectors[place].iov_base, lane.vectors[place].iov_len = lane.packets[place], PACKET_LIMIT
        lane.messages[place].msg_hdr.msg_name = &lane.names[place]
        lane.messages[place].msg_hdr.msg_iov = &lane.vectors[place]
        lane.messages[place].msg_hdr.msg_iovlen = 1
        lane.messages[place].msg_hdr.msg_control = lane.controls[place]
        lane.replies[place].msg_hdr.msg_iov = &lane.reply_vectors[place]
        lane.replies[place].msg_hdr.msg_iovlen = 1
        lane.reply_vectors[place].iov_base = lane.outs[place]
        renew(lane, place)


cdef void renew(Lane *lane, int place) noexcept nogil:
    """The kernel has written how long these were; say again how long they may be."""
    lane.messages[place].msg_hdr.msg_namelen = sizeof(sockaddr_in6)
    lane.messages[place].msg_hdr.msg_controllen = CONTROL


cdef int serve_batch(Lane *lane, int fd, void **current, const Gate *gate, double mono_s) noexcept nogil:
    """Answer what has arrived on a non-blocking socket, one batch of it. How many datagrams that were. On a socket that
    tells the address that was asked, replies leave from there."""
    cdef Turn turn
    cdef int place, ready = 0, count = recvmmsg(fd, lane.messages, BATCH, MSG_DONTWAIT, NULL)
    cdef Py_ssize_t size
    cdef msghdr *reply
    if count <= 0:  # nothing left, or an error that belongs to some earlier reply
        return 0
    turn.view, turn.gate, turn.mono_s, turn.counts = enter(lane, current), gate, mono_s, &lane.counts
    for place in range(count):
        size = answer_one(lane, &turn, place, lane.outs[ready])
        if size:
            reply = &lane.replies[ready].msg_hdr
            lane.reply_vectors[ready].iov_len = size
            reply.msg_name, reply.msg_namelen = &lane.names[place], lane.messages[place].msg_hdr.msg_namelen
            reply.msg_control = lane.controls[place]
            reply.msg_controllen = lane.messages[place].msg_hdr.msg_controllen
            from_asked(reply)
            ready += 1
        else:
            hand_over(lane, fd, place)
        renew(lane, place)
    set_in_order(&lane.in_use, NULL)
    send_all(lane, fd, ready)
    return count


cdef const View *enter(Lane *lane, void **current) noexcept nogil:
    """The View to answer from. Whoever replaces it frees the old one only after it has seen that no lane says to use it:
    so a lane says it first, and then looks whether it still is the one."""
    cdef void *view
    while True:
        view = in_order(current)
        set_in_order(&lane.in_use, view)
        if in_order(current) == view:
            return <const View *>view


cdef Py_ssize_t answer_one(Lane *lane, Turn *turn, int place, uint8_t *out) noexcept nogil:
    """The length of the reply to one message; 0: it is Python's."""
    cdef Asked asked
    cdef Py_ssize_t size
    cdef const uint8_t *packet = lane.packets[place]
    lane.passed += 1
    if lane.passed == lane.sample_every or turn.view == NULL:
        return 0
    if not read_query(packet, lane.messages[place].msg_len, False, &asked):
        return 0
    take_source(&turn.peer, &lane.names[place])
    lane.state += <uint64_t>0x9E3779B97F4A7C15
    turn.random_u32 = mix(lane.state) >> 32
    size = reply_to(&asked, turn, out)
    if size:
        count_reply(&lane.counts, out)
    return size


cdef void take_source(Address *into, sockaddr_in6 *name) noexcept nogil:
    if name.sin6_family == AF_INET:
        take_address(into, <const uint8_t *>&(<sockaddr_in *>name).sin_addr, 4)
    else:
        take_address(into, name.sin6_addr.s6_addr, 16)


cdef void count_reply(Counts *counts, const uint8_t *out) noexcept nogil:
    counts.queries += 1
    counts.noerror += out[3] & 0xF == 0
    counts.nxdomain += out[3] & 0xF == NXDOMAIN
    counts.badcookie += out[3] & 0xF == BADCOOKIE & 0xF
    counts.truncated += out[2] & TC != 0


cdef void hand_over(Lane *lane, int fd, int place) noexcept nogil:
    """Have Python see to a datagram, as long as there is room for it: whom C answers must not wait for the others."""
    cdef Handed *handed = &lane.waiting[lane.given % WAITING]
    cdef const msghdr *message = &lane.messages[place].msg_hdr
    cdef bint sampled = lane.passed == lane.sample_every
    if sampled:
        lane.passed = 0
    if lane.given - acquire(&lane.taken) == WAITING:
        lane.counts.queries += 1
        lane.counts.dropped += 1
        return
    handed.fd, handed.sampled, handed.size = fd, sampled, lane.messages[place].msg_len
    handed.name, handed.name_bytes = lane.names[place], message.msg_namelen
    handed.control_bytes = message.msg_controllen
    memcpy(handed.control, lane.controls[place], CONTROL)
    memcpy(handed.packet, lane.packets[place], handed.size)
    release(&lane.given, lane.given + 1)


cdef void send_all(Lane *lane, int fd, int count) noexcept nogil:
    """What cannot leave is counted and passed over."""
    cdef int sent = 0, done
    while sent < count:
        done = sendmmsg(fd, lane.replies + sent, count - sent, MSG_DONTWAIT)
        if done > 0:
            sent += done
        elif errno != EINTR:
            lane.counts.send_failed += 1
            sent += 1


cdef bint send_one(Handed *handed, const uint8_t *reply, Py_ssize_t size) noexcept nogil:
    cdef iovec vector = iovec(<void *>reply, size)
    cdef msghdr message
    memset(&message, 0, sizeof(message))
    message.msg_name, message.msg_namelen = &handed.name, handed.name_bytes
    message.msg_iov, message.msg_iovlen = &vector, 1
    message.msg_control, message.msg_controllen = handed.control, handed.control_bytes
    from_asked(&message)
    return sendmsg(handed.fd, &message, MSG_DONTWAIT) >= 0


cdef void from_asked(msghdr *message) noexcept nogil:
    """Send from the address that was asked (RFC 3542 section 6.2; ip(7) for IPv4: routing finds the interface)."""
    cdef cmsghdr *control = CMSG_FIRSTHDR(message) if message.msg_controllen else NULL
    if control == NULL:
        message.msg_control, message.msg_controllen = NULL, 0
    elif control.cmsg_level == IPPROTO_IP and control.cmsg_type == IP_PKTINFO:
        (<in_pktinfo *>CMSG_DATA(control)).ipi_ifindex = 0
        (<in_pktinfo *>CMSG_DATA(control)).ipi_addr.s_addr = 0
