"""What people ask of a lake, as small frames: for the report on the terminal, its page, and whoever wants them.

Their frames have as many rows as corpora, languages, rules or reasons. Two that others are computed from have more:
`splits_of` one per row of a release, and `decided` one per utterance.
"""

from speechlake.questions.cost import extraction_cost, price_by_release
from speechlake.questions.hours import READ_OF_NOW, audio_errors, by_corpus_and_language
from speechlake.questions.manifests import (
    lines_read,
    quarantine_examples,
    quarantine_reasons,
)
from speechlake.questions.releases import (
    by_split,
    changed_since,
    groups_of,
    is_published,
    published,
    reasons_of,
    release_named,
    splits_of,
    tables_changed_since,
)

__all__ = [
    "READ_OF_NOW",
    "audio_errors",
    "by_corpus_and_language",
    "by_split",
    "changed_since",
    "extraction_cost",
    "groups_of",
    "is_published",
    "lines_read",
    "price_by_release",
    "published",
    "quarantine_examples",
    "quarantine_reasons",
    "reasons_of",
    "release_named",
    "splits_of",
    "tables_changed_since",
]
