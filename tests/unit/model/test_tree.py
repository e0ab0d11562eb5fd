"""Walking a tree and leaving parts of it out."""

from gslb.model.tree import find, locate, plain, without
from gslb.model.yaml_reader import read_yaml

(TREE,) = read_yaml("f", b"a: {b: [1, 2, 3], c: 4}\nd: 5\n").roots


def test_finding():
    assert find(TREE, ("a", "b", 1)).value == 2
    for path in (("x",), ("a", 0), ("a", "b", 3), ("a", "b", "0"), ("d", "e"), ("x", "y")):
        assert find(TREE, path) is None


def test_places_of_values_keys_and_of_what_is_missing():
    assert str(locate(TREE, ("a", "b"))) == "f:1:8"
    assert str(locate(TREE, ("a", "b"), key=True)) == "f:1:5"
    assert str(locate(TREE, ("a", "b", 2), key=True)) == "f:1:15"
    assert str(locate(TREE, ("a", "x"))) == "f:1:4"
    assert str(locate(TREE, ("a", "x"), key=True)) == "f:1:1"
    assert str(locate(TREE, ())) == "f:1:1"


def test_leaving_out_keeps_the_original_and_ignores_what_leads_nowhere():
    paths = [("a", "b", 0), ("a", "b", 2), ("a", "c"), ("d", "e"), ("x",), ("a", "b", 9)]
    assert plain(without(TREE, paths)) == {"a": {"b": [2]}, "d": 5}
    assert plain(without(TREE, [("a",), ("a", "b")])) == {"d": 5}
    assert without(TREE, []) is TREE
    assert plain(TREE) == {"a": {"b": [1, 2, 3], "c": 4}, "d": 5}
