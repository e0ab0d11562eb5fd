"""Which of the offers that a node keeps is to be served: on trial, good, or stepped back from. Pure: a table of events.

An offer that was taken is on trial until the process has lived through a bake with it. A process that ends unasked with
an offer on trial crashed; at the third crash the node goes back to the generation before, if there is one, and takes
that offer no more: only a newer one. Going back is this machine's decision alone; no message can ask for it.

| event | on trial | good |
| --- | --- | --- |
| `took` | the new offer is on trial; the bake that runs goes on | the new offer is on trial, its bake begins |
| `started` after a stop | nothing | nothing |
| `started` after a crash | counted; the third steps back | nothing |
| `serving` | its bake begins anew | nothing |
| `looked`, bake over | what was baked is good; its successor's bake begins | - |
| `stopped` | the next start is no crash | the next start is no crash |

With changes that come faster than a bake, the one whose bake runs is kept beside the newest, so that something becomes
good all the same. Files and logs do not belong here.
"""

from __future__ import annotations

from pydantic import Field

from gslb.control.protocol import Applied, Message

__all__ = [
    "BAKE_S", "CRASHES", "GOOD_KEPT", "Generation", "Record", "looked", "lost", "pruned", "refuses", "serving",
    "started", "stopped", "took",
]  # fmt: skip

BAKE_S = 30.0
"""How long a role process must live with an offer before it counts as good: what a bad one does, it mostly does at
once, and a role that crashes is back within 10 s."""
CRASHES = 3
"""One may be bad luck, two the machine."""
GOOD_KEPT = 3


class Generation(Message):
    """An offer on disk, in `file` of the folder of generations, taken at `taken_wall_s` (Unix seconds; 0: nobody knows
    any more); `applied` is what compiling it gave."""

    file: str
    applied: Applied
    taken_wall_s: float = 0.0
    good: bool = False


class Record(Message):
    """What a node knows of its generations, newest first. `serves` is the file of what is in force, `baking` the one
    whose bake has run since `since_mono_s`. `running`: the process that wrote this was not told to end yet. `highest`
    is the newest version that was ever taken; `stepped_back_from` what was given up, until something newer is taken.
    """

    generations: tuple[Generation, ...] = ()
    serves: str | None = Field(None, exclude=True)
    baking: str | None = Field(None, exclude=True)
    since_mono_s: float = Field(0.0, exclude=True)
    crashes: int = 0
    running: bool = False
    highest: tuple[int, int] = (0, 0)
    stepped_back_from: Applied | None = None

    @property
    def good(self) -> int:
        """How many good generations there are."""
        return sum(item.good for item in self.generations)


def started(record: Record) -> Record:
    """The role process starts. It serves nothing yet: `serving` follows."""
    newest = record.generations[0] if record.generations else None
    on_trial = newest is not None and not newest.good
    crashes = record.crashes + 1 if on_trial and record.running else record.crashes
    if newest is not None and on_trial and crashes >= CRASHES and len(record.generations) > 1:
        given_up = record.stepped_back_from or newest.applied  # the newest, where it steps back twice
        record = record.model_copy(update={"generations": record.generations[1:], "stepped_back_from": given_up})
        crashes = 0
    return record.model_copy(update={"crashes": crashes, "running": True, "serves": None, "baking": None})


def serving(record: Record, file: str, mono_s: float) -> Record:
    """The generation in `file` is what this process serves: its bake begins, where it is not good yet."""
    is_good = any(item.good for item in record.generations if item.file == file)
    return record.model_copy(update={"serves": file, "baking": None if is_good else file, "since_mono_s": mono_s})


def took(record: Record, new: Generation, mono_s: float) -> Record:
    """`new` is to come into force; it is not refused by `refuses`. What was served stays, in case the role cannot."""
    others = (item for item in pruned(record).generations if item.file != new.file)
    record = record.model_copy(
        update={
            "generations": (new, *others),
            "crashes": 0,
            "highest": max(record.highest, _version(new.applied)),
            "stepped_back_from": None,
            "serves": new.file,
        }
    )
    is_free = record.baking is None or record.baking == new.file
    return serving(record, new.file, mono_s) if is_free else record


def looked(record: Record, mono_s: float) -> Record:
    """Time has passed; unchanged while no bake is over."""
    serves = record.serves
    if record.baking is None or serves is None or mono_s - record.since_mono_s < BAKE_S:
        return record
    generations: list[Generation] = []
    for item in record.generations:
        if item.file == record.baking:
            generations.append(item.model_copy(update={"good": True}))
        elif item.good or not any(newer.good for newer in generations):
            generations.append(item)
    record = record.model_copy(update={"generations": tuple(generations), "crashes": 0})
    return pruned(serving(record, serves, mono_s))


def stopped(record: Record) -> Record:
    """The process ends because it was told to, or because the machine is in its way."""
    return record.model_copy(update={"running": False})


def lost(record: Record, file: str) -> Record:
    """`file` is damaged: it is no generation any more."""
    generations = tuple(item for item in record.generations if item.file != file)
    return record.model_copy(update={"generations": generations})


def refuses(record: Record, applied: Applied) -> str | None:
    """Why an offer that compiles to `applied` must not be taken; None: it may."""
    if _version(applied) < record.highest:
        return "older"
    return "stepped-back" if applied == record.stepped_back_from else None


def pruned(record: Record) -> Record:
    """Without what no start would go back to: what is newest, served or baking, and the newest good ones stay."""
    good = [item.file for item in record.generations if item.good][:GOOD_KEPT]
    kept = {*(item.file for item in record.generations[:1]), record.serves, record.baking, *good}
    return record.model_copy(update={"generations": tuple(i for i in record.generations if i.file in kept)})


def _version(applied: Applied) -> tuple[int, int]:
    return applied.revision, applied.overrides
