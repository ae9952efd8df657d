"""Examples at the margins of rules: the clip, its texts, its value, whose threshold a listener may judge."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from speechlake.page.differences import difference_html
from speechlake.page.sounds import Sound, sound
from speechlake.questions.margins import told

if TYPE_CHECKING:
    from speechlake.lake import Lake
    from speechlake.splits.policy import Policy

Rows = list[dict[str, Any]]
Texts = Mapping[str, dict[str, Any]]
# What a mail server takes, and a browser opens without thinking.
MAX_AUDIO_BYTES = 20 << 20


def texts_of(lake: Lake, policy: Policy | None, ids: Collection[str]) -> Texts:
    """What is told of a few utterances, by utterance_id."""
    if not ids:
        return {}
    return {row.utterance_id: row.asDict(recursive=True) for row in told(lake, policy, ids).collect()}


def examples_of(
    nearest: Rows,
    rule_names: Sequence[str],
    texts: Texts,
    roots: Mapping[str, Mapping[str, str]],
    models: Mapping[str, str | None],
) -> Rows:
    """Per rule, in the policy's order: its `kept` and `removed` examples, each with a `sound`.

    Audio beyond `MAX_AUDIO_BYTES` is left out and says so; a clip that several rules show is read once.
    """
    by_side = {(row["rule"], row["kept"]): row["examples"] for row in nearest}
    album = _Album(texts, roots)
    found = []
    for rule in rule_names:
        sides = {
            name: [_example(one, texts, models, album) for one in by_side.get((rule, kept), [])]
            for name, kept in (("kept", True), ("removed", False))
        }
        if any(sides.values()):
            found.append({"rule": rule, **sides})
    return found


class _Album:
    """Sounds of utterances, each read once, within a bound on all of them together."""

    def __init__(self, texts: Texts, roots: Mapping[str, Mapping[str, str]]) -> None:
        self._texts, self._roots = texts, roots
        self._sounds: dict[str, Sound] = {}
        self._left = MAX_AUDIO_BYTES

    def sound(self, utterance_id: str) -> Sound:
        if utterance_id not in self._sounds:
            place = self._texts[utterance_id]
            self._sounds[utterance_id] = sound(place, self._roots.get(place["corpus"], {}))
        made = self._sounds[utterance_id]
        if made.size_bytes > self._left:
            return Sound(None, made.duration_s, "left out: the page would be too large")
        self._left -= made.size_bytes
        return made


def _example(
    one: dict[str, Any], texts: Texts, models: Mapping[str, str | None], album: _Album
) -> dict[str, Any]:
    place = texts.get(one["utterance_id"])
    if place is None:
        gone = dict.fromkeys(("corpus", "language", "speaker_id", "text", "heard"))
        return {
            **one,
            "place": gone,
            "sound": Sound(trouble="it is no longer in the lake"),
            "difference": None,
        }
    both = place["text"] is not None and place["heard"] is not None
    language = place["language"] or place["heard_language"]
    return {
        **one,
        "place": place,
        "sound": album.sound(one["utterance_id"]),
        "difference": difference_html(place["text"], place["heard"], language) if both else None,
        "judge": models.get(place["judge"]),
    }
