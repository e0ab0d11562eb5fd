"""DNSSEC: the keys of a zone, what they sign, and how a name is denied.

Everything that can be asked is signed when tables are compiled, never while a query waits. No socket, no file and no
clock here; randomness only in `making`, which control alone uses.
"""
