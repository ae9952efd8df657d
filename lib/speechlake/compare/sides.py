"""What of Whisper is compared: a fingerprint, or a model in the ways in which it hears each language."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from speechlake.signals.catalogue import Entries, ways
from speechlake.signals.promote import choices, chosen

if TYPE_CHECKING:
    from speechlake.lake import Lake

WHISPER = "whisper"


@dataclass(frozen=True)
class Side:
    """One of the two that are compared: what it is called, how it becomes current, its fingerprints by language."""

    told: str
    promoting: str
    entries: Entries

    def __str__(self) -> str:
        return self.told


def side_of(lake: Lake, said: str) -> Side:
    """What `said` names: a model that ran in several ways stands for what `catalogue.ways` says of it, language by
    language; else as `promote.chosen`, UsageError included, which lists what there is."""
    of_model = [choice for choice in choices(lake, WHISPER) if choice.model_id == said]
    _, entries = ways(lake).get(said, (WHISPER, ()))
    if len(of_model) > 1 and entries:
        each = [
            f"{' '.join(sorted(languages)) if languages else 'every other'}: {fp}"
            for languages, fp in entries
        ]
        promoting = f"extract-signals --lake {lake.root} --extractor whisper --model {said} --promote"
        return Side(f"{said} ({', '.join(each)})", promoting, list(entries))
    one = chosen(lake, WHISPER, said)
    return Side(
        str(one), f"profile --lake {lake.root} --set whisper={one.fingerprint}", [(None, one.fingerprint)]
    )
