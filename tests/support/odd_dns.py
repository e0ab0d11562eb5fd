"""A DNS server that does what a test tells it, rightly or wrongly, over UDP and TCP on one port."""

from __future__ import annotations

import socketserver
import struct
import threading
from contextlib import ExitStack, contextmanager

import dns.flags
import dns.message
import dns.rrset


def reply_to(query, *, answer=(), authority=(), additional=(), rcode=0, aa=True):
    """A reply with records in the text of a zone file: `name ttl IN TYPE data`, one RRset an item or line."""
    reply = dns.message.make_response(query)
    reply.set_rcode(rcode)
    if aa:
        reply.flags |= dns.flags.AA
    for section, lines in ((reply.answer, answer), (reply.authority, authority), (reply.additional, additional)):
        for line in lines:
            name, ttl, klass, rtype, data = line.split(None, 4)
            found = next((r for r in section if r.name.to_text() == name and r.rdtype.name == rtype), None)
            rrset = dns.rrset.from_text(name, int(ttl), klass, rtype, data)
            if found is None:
                section.append(rrset)
            else:
                found.update(rrset)
    return reply


@contextmanager
def odd_server(address, port, udp, tcp="as udp"):
    """`udp` and `tcp` make a reply (a message, octets, or None: silence) of a query; `tcp` None: nobody listens."""
    with ExitStack() as stack:
        stack.enter_context(_running(_Udp((address, port), udp)))
        if tcp is not None:
            stack.enter_context(_running(_Tcp((address, port), udp if tcp == "as udp" else tcp)))
        yield


@contextmanager
def _running(server):
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _octets(handle, data):
    reply = handle(dns.message.from_wire(data))
    return reply.to_wire() if isinstance(reply, dns.message.Message) else reply


class _Udp(socketserver.UDPServer):
    allow_reuse_address = True

    def __init__(self, where, handle):
        self.handle = handle
        super().__init__(where, _UdpHandler)


class _UdpHandler(socketserver.BaseRequestHandler):
    def handle(self):
        data, sock = self.request
        reply = _octets(self.server.handle, data)
        if reply is not None:
            sock.sendto(reply, self.client_address)


class _Tcp(socketserver.TCPServer):
    allow_reuse_address = True

    def __init__(self, where, handle):
        self.handle = handle
        super().__init__(where, _TcpHandler)


class _TcpHandler(socketserver.BaseRequestHandler):
    def handle(self):
        head = self.request.recv(2)
        if len(head) == 2:
            reply = _octets(self.server.handle, self.request.recv(struct.unpack("!H", head)[0]))
            if reply is not None:
                self.request.sendall(struct.pack("!H", len(reply)) + reply)
