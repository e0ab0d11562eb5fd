import pytest
from hypothesis import given
from hypothesis import strategies as st

from gslb.compare.access_log import MAX_LINES, Line, log_name, read_lines


def varint(value):
    octets = bytearray()
    while value > 0x7F:
        octets.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*octets, value])


def number(field, value):
    return varint(field << 3) + varint(value)


def octets(field, value):
    return varint(field << 3 | 2) + varint(len(value)) + value


def entry(line: Line) -> bytes:
    seconds, nanos = int(line.duration_s), round(line.duration_s % 1 * 1e9)
    common = octets(15, line.cluster.encode()) + octets(10, number(1, seconds) + number(2, nanos))
    common += octets(19, line.route.encode()) if line.route else b""
    request = octets(9, line.request_id.encode()) + (b"" if line.route else number(12, line.size_bytes))
    response = octets(1, number(1, line.status)) + (number(3, line.size_bytes) if line.route else b"")
    more = varint(8 << 3 | 1) + bytes(8) + varint(9 << 3 | 5) + bytes(4)
    return octets(1, more + common) + number(2, 2) + octets(3, request) + octets(4, response)


def message(*lines: Line, name: str | None = None) -> bytes:
    identifier = octets(1, octets(1, octets(1, b"node")) + octets(2, name.encode())) if name else b""
    return identifier + octets(2, b"".join(octets(1, entry(line)) for line in lines))


lines = st.builds(
    Line,
    route=st.sampled_from(["", "shop/pay~copied"]),
    cluster=st.sampled_from(["shop/pay/old", "shop/pay/new~mirror0"]),
    request_id=st.text(min_size=1, max_size=40),
    status=st.sampled_from([0, 200, 503]),
    duration_s=st.integers(0, 10**11).map(lambda micros: micros / 1e6),
    size_bytes=st.integers(0, 2**40),
)


@given(st.lists(lines, max_size=5))
def test_lines_are_read_as_they_were_written(given_lines):
    found = list(read_lines(message(*given_lines)))
    assert [one.request_id for one in found] == [one.request_id for one in given_lines]
    for one, other in zip(found, given_lines, strict=True):
        assert one.duration_s == pytest.approx(other.duration_s)
        assert (one.route, one.cluster, one.status, one.size_bytes) == (
            other.route, other.cluster, other.status, other.size_bytes,
        )  # fmt: skip


def test_the_first_message_tells_what_the_log_is_called():
    assert log_name(message(name="dc")) == "dc"
    assert log_name(message()) is None


@given(st.binary(max_size=200))
def test_nothing_but_a_value_error_comes_of_any_octets(raw):
    for read in (log_name, lambda one: list(read_lines(one))):
        try:
            read(raw)
        except ValueError:
            pass


@pytest.mark.parametrize(
    "raw",
    [
        b"\x80", b"\x12\x05a", b"\xff" * 12, b"\x13", number(2, 7), octets(2, number(1, 7)),
        octets(2, octets(1, octets(1, octets(23, octets(2, b""))))),
    ],
)  # fmt: skip
def test_what_is_no_message_is_refused(raw):
    with pytest.raises(ValueError, match=r"\w"):
        list(read_lines(raw))


def test_fields_of_other_numbers_are_left_alone():
    assert list(read_lines(number(7, 1) + octets(2, octets(9, b"x")))) == []


def test_a_message_of_too_many_lines_is_refused():
    with pytest.raises(ValueError, match="too many"):
        list(read_lines(octets(2, octets(1, b"") * (MAX_LINES + 1))))
