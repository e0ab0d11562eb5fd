"""RFC 7766: DNS over TCP."""

import socket

import dns.message
import dns.rcode

from tests.conformance.zone import APEX


def framed(message):
    wire = message.to_wire()
    return len(wire).to_bytes(2) + wire


def read(sock):
    data = b""
    while len(data) < 2 or len(data) < 2 + int.from_bytes(data[:2]):
        piece = sock.recv(1 if len(data) < 2 else 2 + int.from_bytes(data[:2]) - len(data))
        if not piece:
            return None
        data += piece
    return dns.message.from_wire(data[2:])


def connect(server):
    return socket.create_connection((server.host, server.port), timeout=10)


def test_6_2_1_a_connection_carries_many_queries(server):
    with connect(server) as sock:
        for _ in range(3):
            query = dns.message.make_query(f"shop.{APEX}", "A")
            sock.sendall(framed(query))
            assert query.is_response(read(sock))


def test_6_2_1_1_queries_may_be_sent_without_waiting(server):
    queries = {m.id: m for m in (dns.message.make_query(f"big.{APEX}", "AAAA", id=n) for n in range(1, 201))}
    with connect(server) as sock:
        sock.sendall(b"".join(map(framed, queries.values())))
        for _ in range(len(queries)):
            reply = read(sock)
            assert queries.pop(reply.id).is_response(reply)
    assert not queries


def test_8_a_message_may_arrive_in_pieces(server):
    query = dns.message.make_query(f"shop.{APEX}", "A")
    with connect(server) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for octet in framed(query):
            sock.sendall(bytes([octet]))
        assert query.is_response(read(sock))


def test_8_a_query_may_end_with_the_half_closed_connection(server):
    query = dns.message.make_query(f"shop.{APEX}", "A")
    with connect(server) as sock:
        sock.sendall(framed(query))
        sock.shutdown(socket.SHUT_WR)
        assert query.is_response(read(sock))
        assert read(sock) is None


def test_6_2_4_what_gets_no_answer_gets_no_connection(server):
    with connect(server) as sock:
        sock.sendall(b"\0\0")
        assert sock.recv(1) == b""


def test_5_a_format_error_leaves_the_connection_usable(server):
    query = dns.message.make_query(f"shop.{APEX}", "A")
    with connect(server) as sock:
        sock.sendall(b"\0\x0c" + b"\x12\x34" + bytes(10) + framed(query))
        assert read(sock).rcode() == dns.rcode.FORMERR
        assert query.is_response(read(sock))


def test_7_replies_are_told_apart_by_their_ids(server):
    """Clients must take replies in any order; ids and questions belong together, whatever was asked in between."""
    kinds = [("shop", "A"), ("nowhere", "A"), ("big", "AAAA"), ("shop", "TXT"), ("", "NS")]
    queries = {}
    for number in range(50):
        name, qtype = kinds[number % len(kinds)]
        queries[60_000 - number] = dns.message.make_query(f"{name}.{APEX}".removeprefix("."), qtype, id=60_000 - number)
    with connect(server) as sock:
        sock.sendall(b"".join(map(framed, queries.values())))
        for _ in range(len(queries)):
            reply = read(sock)
            assert queries.pop(reply.id).is_response(reply)


def test_8_everything_sent_before_a_half_close_is_answered(server):
    queries = {number: dns.message.make_query(f"big.{APEX}", "AAAA", id=number) for number in range(1, 101)}
    with connect(server) as sock:
        sock.sendall(b"".join(map(framed, queries.values())))
        sock.shutdown(socket.SHUT_WR)
        while (reply := read(sock)) is not None:
            assert queries.pop(reply.id).is_response(reply)
    assert not queries


def test_8_half_a_message_and_a_half_close_ends_the_connection(server):
    with connect(server) as sock:
        sock.sendall(framed(dns.message.make_query(f"shop.{APEX}", "A"))[:10])
        sock.shutdown(socket.SHUT_WR)
        assert sock.recv(1) == b""
