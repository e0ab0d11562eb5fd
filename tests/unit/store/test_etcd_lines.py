"""Connections to etcd are kept, and given up where they are of no use any more."""

from __future__ import annotations

import contextlib
import os
import shutil

from gslb.store.etcd_client import EtcdClient
from gslb.store.etcd_url import parse_url
from tests.support.authority import Authority
from tests.support.etcd import Etcd, needs_etcd

pytestmark = needs_etcd


def kept(client):
    return [connection.sock for _, _, connection in client._lines._kept]


def test_the_next_question_takes_the_same_connection(etcd, prefix):
    client = EtcdClient(parse_url(etcd.url(prefix)))
    client.get("x")
    (first,) = kept(client)
    for _ in range(3):
        client.get("x")
    assert kept(client) == [first]


def test_one_that_the_other_end_has_closed_is_replaced_and_nothing_fails(etcd, prefix):
    client = EtcdClient(parse_url(etcd.url(prefix)))
    client.get("x")
    (first,) = kept(client)
    first.shutdown(2)
    client.get("x")
    (second,) = kept(client)
    assert second is not first


def test_with_a_renewed_certificate_nothing_goes_over_the_old_connection(tmp_path):
    authority = Authority(tmp_path / "authority")
    server = authority.issue("etcd", "127.0.7.1")
    with contextlib.closing(Etcd(tmp_path / "etcd", tls=(authority.ca, *server))) as cluster:
        files = {}
        for name, source in zip(("cert", "key"), authority.issue("control"), strict=True):
            files[name] = shutil.copy(source, tmp_path / name)
        url = f"etcds://{cluster.members[0].endpoint}/x?ca={authority.ca}&cert={files['cert']}&key={files['key']}"
        client = EtcdClient(parse_url(url))
        client.get("x")
        (first,) = kept(client)
        client.get("x")
        assert kept(client) == [first]
        for name, source in zip(("cert", "key"), authority.issue("control again"), strict=True):
            shutil.copy(source, tmp_path / f"{name}.new")
            os.replace(tmp_path / f"{name}.new", files[name])
        client.get("x")
        (second,) = kept(client)
        assert second is not first
        assert first.fileno() == -1, "closed"
