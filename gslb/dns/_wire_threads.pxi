"""Part of `_wire`: who serves which sockets, and from which tables: the event loop alone, or a thread for each lane.

Tables are replaced by one pointer; what was replaced is kept until no lane says to use it. A lane never waits for the
GIL: what is Python's stands in a queue of the lane, which the event loop empties, so that it alone runs Python.
"""

from os import EFD_CLOEXEC, EFD_NONBLOCK, eventfd, eventfd_read, eventfd_write

cdef extern from "<poll.h>" nogil:
    struct pollfd:
        int fd
        short events
        short revents
    int poll(pollfd *, unsigned long, int)
    int POLLIN, POLLNVAL

cdef extern from "<time.h>" nogil:
    struct timespec:
        long tv_sec
        long tv_nsec
    int CLOCK_MONOTONIC
    int clock_gettime(int, timespec *)

cdef extern from "<unistd.h>" nogil:
    ssize_t write(int, const void *, size_t)
    int close(int)

DEF HANDED_PER_WAKEUP = 128


cdef class Datagrams:
    """Reads, answers and sends datagrams by the batch, and counts them.

    `respond(packet, peer, mono_s)` answers and counts what C does not, and `sample` one datagram of `sample_every` of
    a lane (0: none). `limiter` None: nobody is limited. `seed`: of 64 bits, fresh. Each of `lanes` is served by one
    thread at a time; the rest is called from one thread alone, that of the event loop.
    """

    cdef object respond, sample
    cdef _Limiter limiter
    cdef list kept               # every Prepared that may be in use, the current one last
    cdef void *current           # its View
    cdef Lane **lanes
    cdef int lane_count
    cdef Counts own
    cdef readonly int handed_fd, stop_fd

    def __cinit__(self, respond, limiter, uint64_t seed, sample=None, uint64_t sample_every=0, int lanes=1):
        cdef int place
        self.handed_fd = self.stop_fd = -1
        self.respond, self.sample, self.kept = respond, sample, []
        self.limiter = None if limiter is None else _Limiter(limiter)
        self.lanes, self.lane_count = <Lane **>zeros(lanes, sizeof(void *)), lanes
        for place in range(lanes):
            self.lanes[place] = <Lane *>zeros(1, sizeof(Lane))
            start_lane(self.lanes[place], mix(seed + place), sample_every)
        self.handed_fd, self.stop_fd = (eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC) for _ in range(2))

    def __dealloc__(self):
        cdef int place
        for place in range(self.lane_count if self.lanes else 0):
            free(self.lanes[place])
        free(self.lanes)
        if self.handed_fd >= 0:
            close(self.handed_fd)
        if self.stop_fd >= 0:
            close(self.stop_fd)

    def publish(self, tables):
        """Answer from `tables` from the next batch on."""
        cdef Prepared prepared = Prepared(tables, self.kept[len(self.kept) - 1] if self.kept else None)
        self.kept.append(prepared)
        set_in_order(&self.current, &prepared.view)
        self.kept = [old for old in self.kept if old is prepared or self.is_used(old)]

    cdef bint is_used(self, Prepared prepared) noexcept:
        cdef int place
        for place in range(self.lane_count):
            if in_order(&self.lanes[place].in_use) == &prepared.view:
                return True
        return False

    def serve(self, int lane, int fd, double mono_s):
        """Answer what has arrived on a non-blocking socket, until there is no more or the event loop should see to its
        other work."""
        cdef int served = 0, count
        cdef const Gate *gate = NULL if self.limiter is None else &self.limiter.gate
        while served < DATAGRAMS_PER_WAKEUP:
            with nogil:
                count = serve_batch(self.lanes[lane], fd, &self.current, gate, mono_s)
            if count == 0:
                return
            self.drain_lane(self.lanes[lane], mono_s, BATCH)
            served += count

    def attend(self, int lane, fds):
        """Serve sockets from the present thread until `stop`, without the GIL. Returns the error of the kernel that
        ended it, 0 after `stop`."""
        cdef int place, count = len(fds) + 1, ended
        cdef pollfd *polled = <pollfd *>zeros(count, sizeof(pollfd))
        cdef const Gate *gate = NULL if self.limiter is None else &self.limiter.gate
        for place, fd in enumerate((self.stop_fd, *fds)):
            polled[place] = pollfd(fd, POLLIN, 0)
        with nogil:
            ended = attend(self.lanes[lane], polled, count, &self.current, gate, self.handed_fd)
        free(polled)
        return ended

    def stop(self):
        """Have every `attend` return."""
        eventfd_write(self.stop_fd, 1)

    def drain(self, double mono_s):
        """Answer what waits for Python, when `handed_fd` can be read; what is too much for once remains announced."""
        cdef int place
        cdef bint more = False
        try:
            eventfd_read(self.handed_fd)
        except BlockingIOError:
            return
        for place in range(self.lane_count):
            more |= self.drain_lane(self.lanes[place], mono_s, HANDED_PER_WAKEUP)
        if more:
            eventfd_write(self.handed_fd, 1)

    cdef bint drain_lane(self, Lane *lane, double mono_s, int limit) except -1:
        """Whether there is more."""
        cdef Handed *handed
        cdef Address source
        cdef bytes reply
        while lane.taken != acquire(&lane.given):
            if limit == 0:
                return True
            limit -= 1
            handed = &lane.waiting[lane.taken % WAITING]
            take_source(&source, &handed.name)
            peer = Peer(PyBytes_FromStringAndSize(<const char *>source.octets, source.size))
            packet = PyBytes_FromStringAndSize(<const char *>handed.packet, handed.size)
            try:
                reply = (self.sample if handed.sampled else self.respond)(packet, peer, mono_s)
                if reply is not None:
                    if not send_one(handed, <const uint8_t *>PyBytes_AS_STRING(reply), PyBytes_GET_SIZE(reply)):
                        self.own.send_failed += 1
            finally:
                release(&lane.taken, lane.taken + 1)
        return False

    def counts(self):
        """Under the names of `Responder.counts`; what never happened is missing. Lanes count on meanwhile."""
        cdef Counts total = self.own
        cdef int place
        for place in range(self.lane_count):
            add_counts(&total, &self.lanes[place].counts)
        return dict_of_counts(&total)


cdef int attend(
    Lane *lane, pollfd *polled, int count, void **current, const Gate *gate, int handed_fd
) noexcept nogil:
    """The first of `polled` ends it."""
    cdef int place, batches
    cdef uint32_t given
    cdef uint64_t one = 1
    cdef double mono_s
    while True:
        if poll(polled, count, -1) < 0:
            if errno == EINTR:
                continue
            return errno
        if polled[0].revents:
            return 0
        mono_s, given = now_s(), lane.given
        for place in range(1, count):
            if polled[place].revents & POLLNVAL:
                return EBADF
            batches = DATAGRAMS_PER_WAKEUP // BATCH if polled[place].revents else 0
            while batches and serve_batch(lane, polled[place].fd, current, gate, mono_s):
                batches -= 1
        if lane.given != given:
            write(handed_fd, &one, sizeof(one))


cdef double now_s() noexcept nogil:
    """What `clock.mono_s` says."""
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return now.tv_sec + now.tv_nsec * 1e-9


cdef void add_counts(Counts *total, const Counts *more) noexcept:
    total.queries += more.queries
    total.noerror += more.noerror
    total.nxdomain += more.nxdomain
    total.badcookie += more.badcookie
    total.truncated += more.truncated
    total.dropped += more.dropped
    total.send_failed += more.send_failed
    total.limited += more.limited
    total.cookies_good += more.cookies_good
    total.cookies_new += more.cookies_new
    total.cookies_bad += more.cookies_bad
    total.subnets += more.subnets


cdef dict dict_of_counts(const Counts *counts):
    named = {
        "queries_udp": counts.queries, "responses_noerror": counts.noerror, "responses_nxdomain": counts.nxdomain,
        "responses_badcookie": counts.badcookie, "truncated": counts.truncated, "dropped": counts.dropped,
        "send_failed": counts.send_failed, "limited": counts.limited, "cookies_good": counts.cookies_good,
        "cookies_new": counts.cookies_new, "cookies_bad": counts.cookies_bad, "subnets": counts.subnets,
    }
    return {name: count for name, count in named.items() if count}
