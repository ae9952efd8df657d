"""Which field of a line plays which role, by name; shared by JSON lines and tables with a header.

`layout` decides once per set of field names, `record` fills a `Record` by position, line by line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property, lru_cache
from typing import Any, Final

from speechlake.manifests.record import MAIN_TEXT, Record, Refusal
from speechlake.manifests.strict_json import canonical
from speechlake.manifests.values import channel_of, count_of, is_placeholder, name_of, seconds_of, string_of

# First name found wins; the rest of the line's names go to extras. Names are compared in lower case.
ROLES: Final[Mapping[str, tuple[str, ...]]] = {
    "audio": (
        *("audio_filepath", "audio_path", "audio_file", "audio", "wav_filename", "wav_path", "wav", "path"),
        *("file_path", "filepath", "file_name", "filename", "file"),
    ),
    "channel": ("channel",),
    "start": ("offset", "start_s", "begin_time", "start_time", "start_sec", "begin", "start"),
    "end": ("end_s", "end_time", "end_sec", "end"),
    "duration": ("duration", "duration_s", "duration_sec", "length_s"),
    "source_id": ("id", "utterance_id", "utt_id", "uttid", "utt", "segment_id", "source_id", "key"),
    "speaker": ("speaker", "speaker_id", "spk_id", "spk", "speaker_name", "client_id"),
    "session": ("session", "session_id", "conversation_id", "recording_session"),
    "language": ("language", "lang", "locale", "language_id", "lang_id", "source_lang"),
    "sample_rate": ("sample_rate", "sampling_rate", "audio_sample_rate", "sample_rate_hz", "sr"),
    "channels": ("num_channels", "n_channels", "channels"),
}
# What `columns` of a corpus may name.
NAMED_ROLES: Final[tuple[str, ...]] = (*ROLES, "text")
TEXTS: Final = ("text", "transcript", "transcription", "sentence", "txt", "wrd", "normalized_text")

_IS_TEXT: Final = re.compile(r"text_.+|.+_text|.+_transcript|.+_transcription|transcript_.+")
_NOT_SPOKEN: Final = re.compile(
    r"(?:.*_)?(?:id|hash|sha256|len|length|lang|language|score|format|opts|file|path|"
    "status|state|type|source|confidence|quality|url|date|wer|cer|tokens)"
)
_MACHINE: Final = frozenset(
    {"pred", "predicted", "prediction", "hyp", "hypothesis", "asr", "machine", "whisper"}
)
# Names without end are not remembered: a thousand sets of 60,000 would be 12 GB.
_REMEMBERED_CHARACTERS: Final = 4096
_CAPTION: Final = frozenset({"caption", "captions", "subtitle", "subtitles"})


@dataclass(frozen=True)
class Layout:
    """Positions of the fields of a line: by role, texts by source, the rest by name.

    `perhaps` are fields with a text-like name (`text_words`): texts where they hold a string, else extras.
    `samples` is a start that counts samples.
    """

    width: int
    roles: Mapping[str, int]
    texts: tuple[tuple[str, int], ...]
    perhaps: tuple[tuple[str, int], ...]
    extras: tuple[tuple[str, int], ...]
    samples: int | None

    @cached_property
    def positions(self) -> tuple[int, ...]:
        """Where each role of `ROLES` is, in their order; the place after the last field for those that are absent."""
        return tuple(self.roles.get(role, self.width) for role in ROLES)


def layout(names: tuple[str, ...], columns: tuple[tuple[str, str], ...] = ()) -> Layout:
    """Who plays which role among `names`; `columns` (role, name) come first; roles are of `NAMED_ROLES`."""
    remembered = sum(map(len, names)) <= _REMEMBERED_CHARACTERS
    return (_layout if remembered else _layout.__wrapped__)(names, columns)


@lru_cache(maxsize=1024)
def _layout(names: tuple[str, ...], columns: tuple[tuple[str, str], ...]) -> Layout:
    chosen = dict(columns)
    taken = {names.index(name): role for role, name in chosen.items() if name in names}
    lower = [name.strip().lower() for name in names]
    # SpeechBrain's `start` with `stop` counts samples, not seconds.
    in_samples = "stop" in lower and not {"end", "end_time"} & set(lower)
    for role, candidates in ROLES.items():
        if role == "start" and in_samples and "start" in lower:
            continue
        free = (lower.index(name) for name in candidates if name in lower)
        found = next((n for n in free if n not in taken), None)
        if role not in chosen and found is not None:
            taken[found] = role
    roles = {role: n for n, role in taken.items()}
    # A line that lacks the chosen text has none: another field's would be another kind of text under its name.
    other = None if "text" in chosen else next((lower.index(name) for name in TEXTS if name in lower), None)
    main = roles.pop("text", other)
    taken |= {} if main is None else {main: "text"}
    # pandas writes its index into a column without a name; nothing is dropped for that.
    called = [name or f"column_{n}" for n, name in enumerate(names)]
    rest = [n for n in range(len(names)) if n not in taken]
    # Mappings for their order: a hostile line names 100,000 fields.
    sure = dict.fromkeys(n for n in rest if lower[n] in TEXTS)
    perhaps = dict.fromkeys(n for n in rest if n not in sure and _is_text(lower[n]))
    texts = [(f"{MAIN_TEXT}:{called[n]}", n) for n in sure]
    return Layout(
        width=len(names),
        roles=roles,
        texts=tuple(texts if main is None else [(MAIN_TEXT, main), *texts]),
        perhaps=tuple((called[n], n) for n in perhaps),
        extras=tuple((called[n], n) for n in rest if n not in sure and n not in perhaps),
        samples=lower.index("start") if in_samples and "start" in lower and "start" not in roles else None,
    )


def _is_text(name: str) -> bool:
    return bool(_IS_TEXT.fullmatch(name)) and not _NOT_SPOKEN.fullmatch(name)


def kind_of(source: str) -> str:
    """human, caption or machine, from the name of the field that held the text."""
    return (_kind_of if len(source) <= _REMEMBERED_CHARACTERS else _kind_of.__wrapped__)(source)


@lru_cache(maxsize=1024)
def _kind_of(source: str) -> str:
    words = set(re.split(r"[:_\W]+", source.lower()))
    return "machine" if words & _MACHINE else "caption" if words & _CAPTION else "human"


def record(values: Sequence[Any], where: Layout) -> Record:
    """The record of one line, from its values in the order of the layout's names.

    Values are JSON values, or the strings of a table (there numbers come as `Cell`). Raises Refusal.
    """
    at = [*values, None]
    audio, channel, start, end, duration, own_id, who, session, language, rate, channels = [
        at[n] for n in where.positions
    ]
    if audio is None or audio == "":
        raise Refusal("MISSING_FIELD", "no audio reference")
    if where.samples is not None and count_of("start", values[where.samples]):
        raise Refusal("BAD_INTERVAL", "start and stop count samples: give seconds, as offset and duration")
    source_id = None if own_id is None else name_of("source_id", own_id) or None
    speaker = None if who is None else name_of("speaker", who)
    placeholder = speaker is not None and (speaker == source_id or is_placeholder(speaker))
    start_s, end_s, duration_s = interval(start, end, duration)
    texts, extras = _texts_and_extras(values, where)
    return Record(
        audio=string_of("audio reference", audio) or "",
        channel=None if channel is None else channel_of(channel),
        start_s=start_s,
        end_s=end_s,
        source_id=source_id,
        speaker=None if placeholder else speaker,
        speaker_placeholder=placeholder,
        session=None if session is None else name_of("session", session) or None,
        language=None if language is None else string_of("language", language) or None,
        texts=texts,
        extras=extras,
        declared_duration_s=None if duration_s is None else float(duration_s),
        declared_sample_rate_hz=None if rate is None else count_of("sample_rate", rate),
        declared_channels=None if channels is None else count_of("channels", channels),
    )


def _texts_and_extras(
    values: Sequence[Any], where: Layout
) -> tuple[tuple[tuple[str, str], ...], Mapping[str, str]]:
    texts = [(source, string_of(source, values[n])) for source, n in where.texts]
    extras = {}
    for name, n in where.perhaps:
        if isinstance(values[n], str):
            texts.append((f"{MAIN_TEXT}:{name}", str(values[n])))
        elif values[n] is not None:
            extras[name] = canonical(values[n])
    for name, n in where.extras:
        if values[n] is not None and values[n] != "":
            extras[name] = canonical(values[n])
    # An empty field says nothing; a transcript row for it would claim that silence was heard.
    return tuple((source, text) for source, text in texts if text and not text.isspace()), extras


def interval(
    start_value: Any, end_value: Any, duration_value: Any
) -> tuple[Decimal | None, Decimal | None, Decimal | None]:
    """(start, end, declared duration) in seconds: a duration without a start means the whole file."""
    start = None if start_value is None else seconds_of("start", start_value)
    end = None if end_value is None else seconds_of("end", end_value)
    duration = None if duration_value is None else seconds_of("duration", duration_value)
    if duration is not None and duration <= 0:
        raise Refusal("BAD_INTERVAL", f"duration {duration} s")
    if start is not None and start < 0:
        raise Refusal("BAD_INTERVAL", f"starts at {start} s")
    if end is None and start is not None and duration is not None:
        end = start + duration
    if end is not None and end <= (start or 0):
        raise Refusal("BAD_INTERVAL", f"from {start or 0} s to {end} s")
    return start, end, duration
