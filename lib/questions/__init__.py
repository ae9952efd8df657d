"""What people ask of a lake, as small frames: for the report on the terminal, its page, and whoever wants them.

Every frame here has as many rows as corpora, languages, rules or reasons, never as utterances; only `decided`,
which those of a release are computed from, has one per utterance.
"""

from speechlake.questions.cost import extraction_cost, extraction_runs, price_by_release
from speechlake.questions.hours import READ_OF_NOW, audio_errors, by_corpus_and_language
from speechlake.questions.manifests import (
    current_quarantine,
    lines_read,
    newest_manifest_versions,
    quarantine_examples,
    quarantine_reasons,
)
from speechlake.questions.releases import (
    by_split,
    is_published,
    published,
    reasons_of,
    release_named,
    splits_of,
)

__all__ = [
    "READ_OF_NOW",
    "audio_errors",
    "by_corpus_and_language",
    "by_split",
    "current_quarantine",
    "extraction_cost",
    "extraction_runs",
    "is_published",
    "lines_read",
    "newest_manifest_versions",
    "price_by_release",
    "published",
    "quarantine_examples",
    "quarantine_reasons",
    "reasons_of",
    "release_named",
    "splits_of",
]
