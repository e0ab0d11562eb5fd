"""Whatever happens to a node's generations (takes, crashes, stops, bakes, files damaged or lost, a record torn): as
long as one file that was kept is whole, something is served, and nobody makes the node take an older version.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gslb.control.protocol import Applied
from gslb.roles.keeping.generation_files import RECORD, GenerationFiles
from gslb.roles.keeping.generations import (
    BAKE_S,
    GOOD_KEPT,
    looked,
    lost,
    pruned,
    refuses,
    serving,
    started,
    stopped,
    took,
)
from tests.support.examples import examples


class Node(RuleBasedStateMachine):
    """What `holding` does with the folder, without the role: it serves the newest offer that it can read."""

    @initialize()
    def begin(self):
        self.folder = Path(tempfile.mkdtemp())
        self.mono_s, self.number = 0.0, 0
        self.files = GenerationFiles(self.folder)
        self.highest_taken, self.serves = 0, None
        self.damaged, self.wrecked = set(), False
        self.start()

    def start(self):
        """As a process does: load, count the start, serve the newest that reads."""
        self.serves = None
        self.record = started(self.files.load())
        self.files.save(self.record)
        for item in self.record.generations:
            body = self.files.read(item)
            if body is None:
                assert item.file in self.damaged
                self.record = lost(self.record, item.file)
                continue
            assert body == f"offer {item.applied.revision}".encode()
            self.serves = item
            self.record = serving(self.record, item.file, self.mono_s)
            break
        self.files.save(self.record)

    @rule(back=st.integers(0, 3), fails=st.booleans())
    def take(self, back, fails):
        """An offer, newer or older; the role may refuse it after it was written."""
        number = max(1, self.number + 1 - back)
        applied = Applied(revision=number, overrides=0, digest=f"{number:x}")
        given_up = self.record.stepped_back_from
        why = refuses(self.record, applied)
        if number < self.highest_taken and not self.wrecked:
            assert why == "older"
        if given_up is not None and number == given_up.revision:
            assert why == "stepped-back"
        if why is not None or (self.serves and self.serves.applied == applied):
            return
        before = pruned(self.record)
        new = self.files.add(f"offer {number}".encode(), applied, 0.0)
        self.files.save(took(before, new, self.mono_s))
        self.damaged.discard(new.file)
        if fails:
            self.record = before
            self.files.save(before)
            return
        self.record, self.serves = took(before, new, self.mono_s), new
        self.number = self.highest_taken = max(number, self.number)

    @rule(number=st.integers(1, 5))
    def crash_again_and_again(self, number):
        for _ in range(number):
            self.start()

    @rule()
    def crash_in_the_middle_of_a_take(self):
        """After the offer was written, before or after the record was."""
        applied = Applied(revision=self.number + 1, overrides=0, digest=f"{self.number + 1:x}")
        self.files.add(f"offer {self.number + 1}".encode(), applied, 0.0)
        self.start()

    @rule()
    def stop_and_start(self):
        self.files.save(stopped(self.record))
        self.start()

    @rule(seconds=st.sampled_from([1.0, BAKE_S / 2, BAKE_S, 3 * BAKE_S]))
    def time_passes(self, seconds):
        self.mono_s += seconds
        record = looked(self.record, self.mono_s)
        if record is not self.record:
            self.record = record
            self.files.save(record)

    @precondition(lambda self: self.record.generations)
    @rule(data=st.data(), how=st.sampled_from([b"", b"offer", None]))
    def damage(self, data, how):
        item = data.draw(st.sampled_from(self.record.generations))
        path = self.folder / "generations" / item.file
        path.unlink(missing_ok=True) if how is None else path.write_bytes(how)
        self.damaged.add(item.file)

    @rule(how=st.sampled_from([b"", b"{", None]))
    def tear_the_record(self, how):
        path = self.folder / "generations" / RECORD
        path.unlink(missing_ok=True) if how is None else path.write_bytes(how)
        self.wrecked = True  # what was lost with every file of its version cannot be known any more

    @invariant()
    def something_can_be_served(self):
        whole = [item for item in self.record.generations if item.file not in self.damaged]
        for item in whole:
            assert self.files.read(item) is not None
        if whole:
            assert self.serves is not None

    @invariant()
    def no_more_is_kept_than_needed(self):
        assert len(self.record.generations) <= GOOD_KEPT + 3
        assert self.record.good <= GOOD_KEPT
        names = {path.name for path in (self.folder / "generations").iterdir()}
        assert names <= {RECORD, *(item.file for item in self.record.generations)}

    def teardown(self):
        shutil.rmtree(self.folder)


Node.TestCase.settings = settings(max_examples=examples(60), stateful_step_count=30, deadline=None)
TestNode = Node.TestCase
