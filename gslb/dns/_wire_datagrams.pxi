"""Part of `_wire`: datagrams by the batch, between the kernel and `reply_to`. What a reply says is not decided here."""

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

DEF BATCH = 64
DEF DATAGRAMS_PER_WAKEUP = 256
DEF PACKET_LIMIT = 4096
DEF STRIDE = PACKET_LIMIT + 64   # not a power of two, or the start of every packet would meet in one set of the cache
DEF CONTROL = 64


cdef class Datagrams:
    """Reads, answers and sends datagrams by the batch, and counts them. `respond(packet, peer, mono_s)` answers and
    counts what is not plain, and `sample` one datagram of `sample_every` (0: none), plain or not. One thread at a time;
    `limiter` None: nobody is limited. `seed`: of 64 bits, fresh."""

    cdef object respond, sample
    cdef _Limiter limiter
    cdef Prepared prepared
    cdef uint64_t state, queries, noerror, nxdomain, truncated, send_failed, sample_every, passed
    cdef mmsghdr messages[BATCH]
    cdef iovec vectors[BATCH]
    cdef sockaddr_in6 names[BATCH]
    cdef uint8_t controls[BATCH][CONTROL]
    cdef uint8_t packets[BATCH][STRIDE]
    cdef mmsghdr replies[BATCH]
    cdef iovec reply_vectors[BATCH]
    cdef uint8_t outs[BATCH][UDP_LIMIT]

    def __cinit__(self, respond, limiter, uint64_t seed, sample=None, uint64_t sample_every=0):
        self.respond, self.state = respond, seed
        self.sample, self.sample_every = sample, sample_every
        self.limiter = None if limiter is None else _Limiter(limiter)
        for place in range(BATCH):
            self.vectors[place].iov_base, self.vectors[place].iov_len = self.packets[place], PACKET_LIMIT
            self.messages[place].msg_hdr.msg_name = &self.names[place]
            self.messages[place].msg_hdr.msg_iov = &self.vectors[place]
            self.messages[place].msg_hdr.msg_iovlen = 1
            self.messages[place].msg_hdr.msg_control = self.controls[place]
            self.replies[place].msg_hdr.msg_iov = &self.reply_vectors[place]
            self.replies[place].msg_hdr.msg_iovlen = 1
            self.reply_vectors[place].iov_base = self.outs[place]
            self.renew(place)

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
        """Answer what has arrived on a non-blocking socket, until there is no more or its loop should see to its other
        work. On a socket that tells the address that was asked, replies leave from there."""
        cdef int served = 0, count
        while served < DATAGRAMS_PER_WAKEUP:
            with nogil:
                count = recvmmsg(fd, self.messages, BATCH, MSG_DONTWAIT, NULL)
            if count <= 0:  # nothing left, or an error that belongs to some earlier reply
                return
            self.send(fd, self.answer_all(count, mono_s))
            served += count

    cdef int answer_all(self, int count, double mono_s) except -1:
        """How many replies there are to send."""
        cdef int place, ready = 0
        cdef Py_ssize_t size
        cdef msghdr *asked
        cdef msghdr *reply
        for place in range(count):
            size = self.answer_one(place, self.outs[ready], mono_s)
            asked, reply = &self.messages[place].msg_hdr, &self.replies[ready].msg_hdr
            if size:
                self.reply_vectors[ready].iov_len = size
                reply.msg_name, reply.msg_namelen = asked.msg_name, asked.msg_namelen
                reply.msg_control, reply.msg_controllen = asked.msg_control, asked.msg_controllen
                from_asked(reply)
                ready += 1
            self.renew(place)
        return ready

    cdef void renew(self, int place) noexcept:
        """The kernel has written how long these were; say again how long they may be."""
        self.messages[place].msg_hdr.msg_namelen = sizeof(sockaddr_in6)
        self.messages[place].msg_hdr.msg_controllen = CONTROL

    cdef Py_ssize_t answer_one(self, int place, uint8_t *out, double mono_s) except -1:
        """The length of the reply to one message; 0: silence."""
        cdef const uint8_t *packet = self.packets[place]
        cdef Py_ssize_t size = self.messages[place].msg_len, written = 0
        cdef bint v4 = self.names[place].sin6_family == AF_INET
        cdef const uint8_t *client = self.names[place].sin6_addr.s6_addr
        cdef Py_ssize_t client_bytes = 4 if v4 else 16
        cdef Asked asked
        cdef bytes reply
        cdef bint sampled = self.is_due()
        if v4:
            client = <const uint8_t *>&(<sockaddr_in *>&self.names[place]).sin_addr
        if not sampled and self.prepared is not None and read_query(packet, size, False, &asked):
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
        reply = (self.sample if sampled else self.respond)(
            PyBytes_FromStringAndSize(<const char *>packet, size), peer, mono_s
        )
        if reply is None:
            return 0
        memcpy(out, PyBytes_AS_STRING(reply), PyBytes_GET_SIZE(reply))
        return PyBytes_GET_SIZE(reply)

    cdef bint is_due(self) noexcept:
        """Whether this datagram is the one to sample."""
        self.passed += 1
        if self.passed != self.sample_every:
            return False
        self.passed = 0
        return True

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
    """Send from the address that was asked (RFC 3542 section 6.2; ip(7) for IPv4: routing finds the interface)."""
    cdef cmsghdr *control = CMSG_FIRSTHDR(message) if message.msg_controllen else NULL
    if control == NULL:
        message.msg_control, message.msg_controllen = NULL, 0
    elif control.cmsg_level == IPPROTO_IP and control.cmsg_type == IP_PKTINFO:
        (<in_pktinfo *>CMSG_DATA(control)).ipi_ifindex = 0
        (<in_pktinfo *>CMSG_DATA(control)).ipi_addr.s_addr = 0
