"""gRPC health, as https://github.com/grpc/grpc/blob/master/doc/health-checking.md has it: a unary call over HTTP/2.

Two messages of one field each are written and read here octet by octet (protobuf encoding, tags 0x0a and 0x08); a
protobuf library with generated code would be more to keep than that.
"""

from __future__ import annotations

from gslb.health.checks.connection import Connection
from gslb.health.checks.tools import Tools
from gslb.health.http_answer import Answer
from gslb.health.target import Result
from gslb.model.words import format_endpoint
from gslb.snapshot.checks import GrpcAsk

__all__ = ["ask_grpc", "judged_grpc", "request_message", "status_of"]

_LIMIT_BYTES = 4096
_STATES = {0: "UNKNOWN", 1: "SERVING", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}
_CODES = {"0": "OK", "4": "DEADLINE_EXCEEDED", "5": "NOT_FOUND", "7": "PERMISSION_DENIED", "12": "UNIMPLEMENTED",
          "14": "UNAVAILABLE", "16": "UNAUTHENTICATED"}  # fmt: skip


async def ask_grpc(subject: str, ask: GrpcAsk, connection: Connection, tools: Tools, timeout_s: float) -> Result:
    """Healthy is SERVING."""
    from gslb.health.checks.http2 import ask_http2, speaks_http2  # h2 is loaded where it is spoken

    context = tools.context(ask.tls, ("h2",)) if ask.tls else None
    sni = ask.tls.sni if ask.tls else None
    headers = (
        (":method", "POST"),
        (":scheme", "https" if context else "http"),
        (":path", "/grpc.health.v1.Health/Check"),
        (":authority", format_endpoint(sni or ask.host, ask.port)),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("grpc-timeout", f"{max(1, round(timeout_s * 1000))}m"),
        ("user-agent", "gslb-probe"),
    )
    async with connection.open(ask.host, ask.port, context, sni) as (reader, writer):
        if not speaks_http2(writer):
            return Result(ok=False, reason=f"{subject}: it does not speak HTTP/2 (ALPN)")
        answer = await ask_http2(reader, writer, headers, request_message(ask.service), _LIMIT_BYTES)
    return judged_grpc(subject, answer)


def request_message(service: str) -> bytes:
    """HealthCheckRequest {string service = 1}, behind the five octets of gRPC's framing."""
    name = service.encode()
    assert len(name) < 2**14
    length = bytes([len(name)]) if len(name) < 128 else bytes([len(name) & 0x7F | 0x80, len(name) >> 7])
    message = b"\x0a" + length + name if name else b""
    return b"\0" + len(message).to_bytes(4, "big") + message


def status_of(body: bytes) -> int:
    """The status of a HealthCheckResponse {ServingStatus status = 1}: 0 where it is not given. Raises ValueError."""
    message = body[5 : 5 + int.from_bytes(body[1:5], "big")]
    if len(body) < 5 or body[0] or len(message) != int.from_bytes(body[1:5], "big"):
        raise ValueError("the answer is no message of gRPC")
    if not message:
        return 0
    if len(message) < 2 or message[0] != 0x08 or message[1] > 0x7F:
        raise ValueError("the answer is no HealthCheckResponse")
    return message[1]


def judged_grpc(subject: str, answer: Answer) -> Result:
    """What a HealthCheckResponse says; over HTTP/1.1 the trailers, and with them the code, may be missing."""
    headers = dict(answer.headers)
    code = headers.get("grpc-status", "")
    if answer.status != 200 or code not in ("", "0"):
        said = f"grpc-status {code} {_CODES.get(code, '')}".strip() if code else f"HTTP status {answer.status}"
        text = headers.get("grpc-message", "")[:80]
        return Result(ok=False, reason=f"{subject}: {said}" + (f" ({text})" if text else ""))
    try:
        state = status_of(answer.body)
    except ValueError as error:
        return Result(ok=False, reason=f"{subject}: {error}")
    return Result(ok=state == 1, reason=f"{subject}: {_STATES.get(state, state)}")
