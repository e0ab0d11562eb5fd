from __future__ import annotations

from pathlib import Path

import pytest

from gslb.errors import HostError
from gslb.store.etcd_url import EtcdUrl, parse_url


@pytest.mark.parametrize(
    ("url", "means"),
    [
        ("etcd://h1", EtcdUrl((("h1", 2379),), "gslb")),
        ("etcd://h1/", EtcdUrl((("h1", 2379),), "gslb")),
        ("etcd://h1:1,h2.example.com,10.0.0.3:65535/a/b-c_d.e/", EtcdUrl(
            (("h1", 1), ("h2.example.com", 2379), ("10.0.0.3", 65535)), "a/b-c_d.e")),
        ("etcd://[2001:db8::1]:2380,[::1]/x", EtcdUrl((("2001:db8::1", 2380), ("::1", 2379)), "x")),
        ("etcds://h1/x", EtcdUrl((("h1", 2379),), "x", tls=True)),
        ("etcds://h1/x?ca=/a.pem&cert=/b.pem&key=/c.pem", EtcdUrl(
            (("h1", 2379),), "x", True, Path("/a.pem"), Path("/b.pem"), Path("/c.pem"))),
    ],
)  # fmt: skip
def test_what_an_address_means(url, means):
    assert parse_url(url) == means


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("", "does not begin with"),
        ("sqlight", "does not begin with"),
        ("http://h1:2379/x", "does not begin with"),
        ("etcd:///x", "'' is no HOST:PORT"),
        ("etcd://h1,,h2/x", "'' is no HOST:PORT"),
        ("etcd://h1:0/x", "'h1:0' is no HOST:PORT"),
        ("etcd://h1:65536/x", "'h1:65536' is no HOST:PORT"),
        ("etcd://user:secret@h1/x", "is no HOST:PORT"),
        ("etcd://[::1/x", "Invalid IPv6"),
        ("etcd://h1,h1:2379/x", "names a member twice"),
        (f"etcd://{','.join(f'h{n}' for n in range(10))}/x", "more than 9"),
        ("etcd://h1/a b", "other characters"),
        ("etcd://h1/a//b", "other characters"),
        ("etcd://h1/x#y", "fragment"),
        ("etcd://h1/x?ca=/a.pem", "etcds://"),
        ("etcds://h1/x?password=1", "no option password"),
        ("etcds://h1/x?cert=/b.pem", "belong together"),
        ("etcds://h1/x?ca=a.pem", "absolute"),
        ("etcds://h1/x?ca", "bad query"),
    ],
)
def test_what_is_no_address_says_why_and_what_to_write(url, why):
    with pytest.raises(HostError) as caught:
        parse_url(url)
    assert why in caught.value.message
    assert "etcd://" in caught.value.remedy
