"""Extractors: what is measured of an utterance, one file each, in the order in which they run."""

from collections.abc import Mapping

from speechlake.signals.acoustics import Acoustics
from speechlake.signals.audio import Audio
from speechlake.signals.audio_keys import AudioKeys
from speechlake.signals.events import Events
from speechlake.signals.extractor import Extractor
from speechlake.signals.quality import Quality
from speechlake.signals.speaker import Speaker
from speechlake.signals.speech import Speech
from speechlake.signals.whisper import Whisper

EXTRACTORS: Mapping[str, type[Extractor]] = {
    "audio": Audio,
    "speech": Speech,
    "whisper": Whisper,
    "quality": Quality,
    "events": Events,
    "speaker": Speaker,
    "audio_keys": AudioKeys,
    "acoustics": Acoustics,
}

# What runs where nobody names extractors: what policies and releases need. The others cost more or serve
# special ends, and run when they are asked for.
DEFAULT_EXTRACTORS: tuple[str, ...] = ("audio", "speech", "whisper", "audio_keys")
