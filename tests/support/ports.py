"""Ports for servers that must know theirs before they start."""

from __future__ import annotations

import socket


def free_port(*addresses: str) -> int:
    """A port that is free now on every one of `addresses`."""
    for _ in range(50):
        sockets = [socket.socket() for _ in addresses]
        try:
            sockets[0].bind((addresses[0], 0))
            port = int(sockets[0].getsockname()[1])
            for other, address in zip(sockets[1:], addresses[1:], strict=True):
                other.bind((address, port))
        except OSError:
            continue
        finally:
            for item in sockets:
                item.close()
        return port
    raise AssertionError("no port is free on all of them")
