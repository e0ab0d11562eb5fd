"""An independent reader of dnstap files, written from the schema and the description of Frame Streams."""

import struct

MESSAGE_FIELDS = {
    1: "type", 2: "socket_family", 3: "socket_protocol", 4: "query_address", 8: "query_time_sec", 9: "query_time_nsec",
    10: "query_message", 12: "response_time_sec", 13: "response_time_nsec", 14: "response_message",
}  # fmt: skip
DNSTAP_FIELDS = {1: "identity", 2: "version", 3: "extra", 14: "message", 15: "type"}
CONTROLS = {1: "ACCEPT", 2: "START", 3: "STOP", 4: "READY", 5: "FINISH"}


def frames(octets):
    """Control frames as (name, content types), data frames as octets."""
    while octets:
        (length,) = struct.unpack_from("!I", octets)
        octets = octets[4:]
        if length:
            yield octets[:length]
        else:
            (length,) = struct.unpack_from("!I", octets)
            octets = octets[4:]
            yield control(octets[:length])
        assert len(octets) >= length
        octets = octets[length:]


def control(octets):
    kind, octets, types = CONTROLS[int.from_bytes(octets[:4])], octets[4:], []
    while octets:
        field, length = struct.unpack_from("!II", octets)
        assert field == 1
        types.append(octets[8 : 8 + length])
        octets = octets[8 + length :]
    return kind, types


def dnstap(octets):
    found = fields(octets, DNSTAP_FIELDS)
    return found | {"message": fields(found["message"], MESSAGE_FIELDS)}


def fields(octets, names):
    found, at = {}, 0
    while at < len(octets):
        tag, at = varint(octets, at)
        name, kind = names[tag >> 3], tag & 7
        assert name not in found
        if kind == 0:
            found[name], at = varint(octets, at)
        elif kind == 2:
            length, at = varint(octets, at)
            found[name], at = octets[at : at + length], at + length
        else:
            assert kind == 5
            found[name], at = int.from_bytes(octets[at : at + 4], "little"), at + 4
    assert at == len(octets)
    return found


def varint(octets, at):
    number = shift = 0
    while True:
        number |= (octets[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if octets[at - 1] < 0x80:
            return number, at
