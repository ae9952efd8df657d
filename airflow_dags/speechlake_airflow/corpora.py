"""The corpora of `corpora.yaml`, as speechlake itself reads them, and as flags of `ingest-manifests`."""

from __future__ import annotations

from typing import Any


def corpora_of(file: str, only: str) -> list[dict[str, Any]]:
    """Of each corpus of the file `name`, flags for `ingest`, whether to `segment` it, and flags for that, `cut`.

    `only` is a JSON list of names; empty for all. ConfigError where the file is wrong, or lacks one of them.

    Runs in speechlake's own Python, which knows the file's rules: nothing of it is said twice. It is shipped as
    text, so that all it needs is inside.
    """
    import json

    from speechlake.corpora import KEPT, READING, Corpus, load_corpora
    from speechlake.errors import ConfigError

    def flags(corpus: Corpus) -> list[str]:
        # What the file leaves out of these, the lake remembers: a default would take it back.
        declared = {name: getattr(corpus, name) for name in KEPT if name in corpus.model_fields_set}
        single = declared.pop("single_speaker", None)
        tags = (declared.pop("text_tags") or ("",)) if "text_tags" in declared else ()
        # All or none: a default would answer for whoever forgot them, and every utterance would become another.
        said_how = corpus.model_fields_set & set(READING)
        reading = {name: getattr(corpus, name) for name in READING if said_how}
        columns = reading.pop("columns", {})
        said: list[tuple[str, Any]] = [
            ("--corpus", corpus.name),
            ("--format", corpus.format),
            *(("--audio-root", f"{name}={uri}") for name, uri in corpus.roots.items()),
            # Null takes back what the lake remembers, as an empty flag does.
            *(
                (f"--{name.replace('_', '-')}", "" if value is None else value)
                for name, value in declared.items()
            ),
            *(("--text-tag", tag) for tag in tags),
            ("--max-reject", corpus.max_reject),
            *(("--column", f"{role}={name}") for role, name in columns.items()),
            *((f"--{name.replace('_', '-')}", value) for name, value in reading.items()),
        ]
        pairs = [f"{flag}={value}" for flag, value in said if value is not None]
        speakers = {None: [], True: ["--single-speaker"], False: ["--no-single-speaker"]}[single]
        return [*pairs, *speakers, *corpus.sources]

    def cut(corpus: Corpus) -> list[str]:
        how = corpus.segment
        if how is None:
            return []
        said = {"--longer-than": how.longer_than_s, "--min-s": how.min_s, "--max-s": how.max_s}
        lengths = [f"{flag}={value!r}" for flag, value in said.items() if value is not None]
        return [*lengths, *(["--discard-text"] if how.discard_text else [])]

    found = {corpus.name: corpus for corpus in load_corpora(file)}
    names = json.loads(only) or list(found)
    unknown = [name for name in names if name not in found]
    if unknown:
        raise ConfigError(f"{file} has no corpus {', '.join(unknown)}", hint=f"Corpora: {', '.join(found)}.")
    return [
        {
            "name": corpus.name,
            "ingest": flags(corpus),
            "segment": corpus.segment is not None,
            "cut": cut(corpus),
        }
        for corpus in found.values()
        if corpus.name in names
    ]
