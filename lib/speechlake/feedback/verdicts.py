"""What a reviewer can say of a clip, and the columns in which it comes back."""

from __future__ import annotations

from dataclasses import dataclass

from speechlake.feedback.spec import ValueColumn


@dataclass(frozen=True)
class Verdict:
    """One answer: how it is stored, its key on the page, its label."""

    name: str
    key: str
    label: str


# What the rule made of the clip.
REMOVED, KEPT = "removed", "kept"
GOOD = "good"
SKIPPED = "skip"
# Reasons not to train on a clip, whatever the rule was about: where it removes one of them, it was right.
BAD: tuple[str, ...] = ("bad_audio", "bad_text", "wrong_speaker")
VERDICTS: tuple[Verdict, ...] = (
    Verdict(GOOD, "g", "good"),
    Verdict("bad_audio", "a", "bad audio"),
    Verdict("bad_text", "t", "bad text"),
    Verdict("wrong_speaker", "s", "wrong speaker"),
    Verdict(SKIPPED, "x", "skip"),
)
# Answers of somebody who heard the clip.
HEARD: tuple[str, ...] = tuple(verdict.name for verdict in VERDICTS if verdict.name != SKIPPED)

# What a page of `review` writes per utterance beside its id, and `import-signals --review` reads. `asked` is what
# the rule asked when its clips were drawn: with another limit it is another question. `stratum` and `population`
# say of how many utterances the clip was drawn: without them no share can be estimated.
ANSWERS: tuple[ValueColumn, ...] = (
    *(
        ValueColumn(name, name, "string")
        for name in ("verdict", "rule", "asked", "sample", "decision", "stratum")
    ),
    ValueColumn("population", "population", "number"),
    *(ValueColumn(name, name, "string") for name in ("value", "reviewer", "at")),
)
# What makes two answers about one utterance answers to one question. An import holds one of each utterance.
QUESTION: tuple[str, ...] = ("rule", "asked")
# Without these nobody knows what was answered. Answers of older pages do not name all of the rest.
NEEDED: tuple[str, ...] = ("verdict", "rule", "decision")
MAY_LACK: frozenset[ValueColumn] = frozenset(column for column in ANSWERS if column.name not in NEEDED)
