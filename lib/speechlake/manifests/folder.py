"""A plain folder of audio: each file is one whole-file utterance without a text.

The folder is the manifest: its lines are the relative paths of its audio files, sorted by bytes and
joined by newlines; sha256 and byte offsets refer to that text. What counts as audio is the suffix,
because a README is no utterance; what a file really is, its decoder finds out.
"""

from __future__ import annotations

from speechlake.manifests.contract import Context, Format, Head
from speechlake.manifests.record import Record, Refused

AUDIO_SUFFIXES = (
    *(".wav", ".wave", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".m4a", ".aac", ".mp4", ".webm", ".mka"),
    *(".aif", ".aiff", ".aifc", ".au", ".snd", ".sph", ".wma", ".amr", ".3gp", ".caf", ".w64", ".mp2"),
)
_AUDIO_SUFFIXES = tuple(suffix.encode() for suffix in AUDIO_SUFFIXES)


def is_audio(name: bytes) -> bool:
    """True when a file's name ends like an audio file's."""
    return name.lower().endswith(_AUDIO_SUFFIXES)


def parse(raw: bytes, context: Context) -> Record | Refused | None:
    """The record of one listed file."""
    try:
        return Record(audio=raw.decode("utf-8"))
    except UnicodeDecodeError:
        return Refused("NAME_NOT_UTF8", ascii(raw)[1:])


def recognises(head: Head) -> bool:
    """A file is never a folder."""
    return False


FORMAT = Format("folder", parse, recognises, relative_to="itself", verbatim=True, is_folder=True)
