"""The tables of a lake: one contract per file, all of them in `TABLES`, in the order of the flow."""

from speechlake.schemas.assignments import ASSIGNMENTS
from speechlake.schemas.attempts import ATTEMPTS
from speechlake.schemas.audio_pairs import AUDIO_PAIRS
from speechlake.schemas.calibrations import CALIBRATIONS
from speechlake.schemas.chunks import CHUNKS
from speechlake.schemas.content_hashes import CONTENT_HASHES
from speechlake.schemas.corpora import CORPORA
from speechlake.schemas.decisions import DECISIONS
from speechlake.schemas.duplicates import DUPLICATES
from speechlake.schemas.erasures import ERASURES
from speechlake.schemas.extractors import EXTRACTORS
from speechlake.schemas.fixed_sets import FIXED_SETS
from speechlake.schemas.import_refusals import IMPORT_REFUSALS
from speechlake.schemas.key_buckets import KEY_BUCKETS
from speechlake.schemas.manifests import MANIFESTS
from speechlake.schemas.profiles import PROFILES
from speechlake.schemas.quarantine import QUARANTINE
from speechlake.schemas.recordings import RECORDINGS
from speechlake.schemas.releases import RELEASES
from speechlake.schemas.repeats import REPEATS
from speechlake.schemas.runs import RUNS
from speechlake.schemas.scores import SCORES
from speechlake.schemas.segmentations import SEGMENTATIONS
from speechlake.schemas.signals_acoustics import SIGNALS_ACOUSTICS
from speechlake.schemas.signals_audio import SIGNALS_AUDIO
from speechlake.schemas.signals_audio_keys import SIGNALS_AUDIO_KEYS
from speechlake.schemas.signals_events import SIGNALS_EVENTS
from speechlake.schemas.signals_imported import SIGNALS_IMPORTED
from speechlake.schemas.signals_quality import SIGNALS_QUALITY
from speechlake.schemas.signals_speaker import SIGNALS_SPEAKER
from speechlake.schemas.signals_speech import SIGNALS_SPEECH
from speechlake.schemas.signals_whisper import SIGNALS_WHISPER
from speechlake.schemas.splits import SPLITS
from speechlake.schemas.table import Column, Table
from speechlake.schemas.tombstones import TOMBSTONES
from speechlake.schemas.transcripts import TRANSCRIPTS
from speechlake.schemas.utterances import UTTERANCES

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        CORPORA,
        MANIFESTS,
        RECORDINGS,
        CONTENT_HASHES,
        UTTERANCES,
        REPEATS,
        TRANSCRIPTS,
        QUARANTINE,
        EXTRACTORS,
        PROFILES,
        CALIBRATIONS,
        SEGMENTATIONS,
        SIGNALS_AUDIO,
        SIGNALS_SPEECH,
        SIGNALS_WHISPER,
        SIGNALS_QUALITY,
        SIGNALS_EVENTS,
        SIGNALS_SPEAKER,
        SIGNALS_AUDIO_KEYS,
        SIGNALS_ACOUSTICS,
        SIGNALS_IMPORTED,
        IMPORT_REFUSALS,
        ATTEMPTS,
        SCORES,
        KEY_BUCKETS,
        AUDIO_PAIRS,
        DUPLICATES,
        ASSIGNMENTS,
        SPLITS,
        DECISIONS,
        FIXED_SETS,
        RELEASES,
        ERASURES,
        RUNS,
        CHUNKS,
        TOMBSTONES,
    )
}

__all__ = [
    "ASSIGNMENTS",
    "ATTEMPTS",
    "AUDIO_PAIRS",
    "CALIBRATIONS",
    "CHUNKS",
    "CONTENT_HASHES",
    "CORPORA",
    "DECISIONS",
    "DUPLICATES",
    "ERASURES",
    "EXTRACTORS",
    "FIXED_SETS",
    "IMPORT_REFUSALS",
    "KEY_BUCKETS",
    "MANIFESTS",
    "PROFILES",
    "QUARANTINE",
    "RECORDINGS",
    "RELEASES",
    "REPEATS",
    "RUNS",
    "SCORES",
    "SEGMENTATIONS",
    "SIGNALS_ACOUSTICS",
    "SIGNALS_AUDIO",
    "SIGNALS_AUDIO_KEYS",
    "SIGNALS_EVENTS",
    "SIGNALS_IMPORTED",
    "SIGNALS_QUALITY",
    "SIGNALS_SPEAKER",
    "SIGNALS_SPEECH",
    "SIGNALS_WHISPER",
    "SPLITS",
    "TABLES",
    "TOMBSTONES",
    "TRANSCRIPTS",
    "UTTERANCES",
    "Column",
    "Table",
]
