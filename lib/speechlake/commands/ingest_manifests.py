"""Ingest manifests: files and folders that list audio -> corpora, recordings, utterances, transcripts.

Every line ends in exactly one place: an utterance, a counted repeat, or quarantine with a reason.
Unchanged manifests are not parsed again; the audio's roots are always listed.

    spark-submit --py-files dist/speechlake.zip jobs/ingest_manifests.py \\
        --lake s3a://corpus/lake --corpus librispeech --audio-root s3a://corpus/LibriSpeech s3a://corpus/LibriSpeech
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence

from speechlake import job
from speechlake.by_hand import changed_by_hand
from speechlake.corpora import KEPT, READING, Corpus, make_corpus
from speechlake.erasure.honoured import refuse_erased
from speechlake.errors import UsageError
from speechlake.job import Report
from speechlake.lake import Lake
from speechlake.ledger import Run
from speechlake.manifests.formats import NAMED_FORMATS
from speechlake.manifests.ingest import IngestResult, ingest
from speechlake.progress import Progress

NAME = "ingest-manifests"
# What a corpus may be without.
OPTIONAL = ("licence", "language", "speaker_namespace")
WRITES = ("corpora", "recordings", "utterances", "transcripts", "repeats", "quarantine", "manifests")


def arguments() -> argparse.ArgumentParser:
    """Every knob of this job; text becomes typed values here and nowhere deeper."""
    made = job.parser(__doc__)
    made.add_argument("--corpus", required=True, help="name of the corpus")
    made.add_argument("--format", default="auto", help=f"one of {', '.join(NAMED_FORMATS)}; default auto")
    made.add_argument(
        "--audio-root",
        action="append",
        default=[],
        metavar="[NAME=]URI",
        help="where the audio lies; repeatable",
    )
    made.add_argument("--licence", help="licence identifier, e.g. CC-BY-4.0; '' takes it back")
    made.add_argument("--language", help="default language of lines that name none; '' takes it back")
    made.add_argument("--speaker-namespace", help="prefix of speaker ids; default the corpus, as is ''")
    made.add_argument(
        "--single-speaker",
        action=argparse.BooleanOptionalAction,
        help="the corpus has one speaker: speaker links are off",
    )
    made.add_argument(
        "--channels", help="auto (the default for a new corpus), mix, each, or a channel counted from 0"
    )
    made.add_argument(
        "--ids",
        choices=("interval", "source"),
        help="source: source_id is part of the id; default interval for a new corpus",
    )
    made.add_argument(
        "--text-tag",
        action="append",
        help="what the texts are, e.g. read, prompts; repeatable; '' alone takes all back",
    )
    made.add_argument("--role", choices=("training", "evaluation"), help="default training for a new corpus")
    made.add_argument(
        "--max-reject", type=float, default=0.05, help="share of lines that may be refused; default 0.05"
    )
    made.add_argument(
        "--column",
        action="append",
        default=[],
        metavar="ROLE=NAME",
        help="column that holds a role, e.g. text=sentence; repeatable",
    )
    made.add_argument(
        "--suffix",
        help="of audio that lines name without one, e.g. .opus; default .flac for librispeech, .wav for ljspeech, "
        ".mp3 for common-voice",
    )
    made.add_argument(
        "--relative-to",
        choices=("auto", "manifest", "root"),
        help="what relative references start from; default auto",
    )
    made.add_argument(
        "--quoting", choices=("auto", "csv", "none"), help="of tables with a header; default auto"
    )
    job.add_wait(made)
    made.add_argument("source", nargs="+", metavar="SOURCE", help="manifest file or folder, path or URI")
    return made


def corpus_of(parsed: argparse.Namespace) -> Corpus:
    """The corpus that the arguments declare; UsageError where they contradict each other."""
    said = {name: getattr(parsed, "text_tag" if name == "text_tags" else name) for name in KEPT}
    said = {name: value for name, value in said.items() if value is not None}
    # An empty one takes back what the lake remembers, as null does in `corpora.yaml`.
    said |= {name: None for name in OPTIONAL if said.get(name) == ""}
    if said.get("text_tags") == [""]:
        said["text_tags"] = []
    columns = _by_name("--column", parsed.column)
    reading = {"columns": columns or None} | {name: getattr(parsed, name) for name in READING[1:]}
    said |= {name: value for name, value in reading.items() if value is not None}
    return make_corpus(
        name=parsed.corpus,
        sources=tuple(parsed.source),
        format=parsed.format,
        roots=_by_name("--audio-root", parsed.audio_root, "audio"),
        max_reject=parsed.max_reject,
        **said,
    )


def run(lake: Lake, corpus: Corpus, *, wait_s: float = 0.0, progress: Progress) -> Report:
    """Bring the tables to what the corpus's manifests and roots say now, and count what happened."""
    this = Run(NAME, corpus.name, corpus.model_dump(mode="json"), by_corpus=True)
    # Before the hold, whose lock is called after the corpus.
    refuse_erased(lake, corpus.name)
    with lake.hold(NAME, corpus.name, this.run_id, wait_s=wait_s) as hold:
        this.reads(lake, WRITES)
        by_hand = changed_by_hand(lake, this, WRITES)
        result = ingest(hold, corpus, again=bool(by_hand))
        this.counts = _counts(result)
        this.rows_in, this.rows_out = result.ingested.lines, result.ingested.rows_written
        if hold.versions_written or by_hand:
            this.finish(hold, "done" if result.refusal is None else type(result.refusal).__name__)
    if by_hand:
        progress.say(
            f"{corpus.name}: {', '.join(by_hand)} changed by hand: manifests that are known were parsed too"
        )
    outcome = "refused" if result.refusal else "done" if hold.versions_written else "nothing to do"
    progress.say(f"{corpus.name}: {_sentence(result) if hold.versions_written else 'nothing to do'}")
    for warning in _warnings(result):
        progress.say(f"{corpus.name}: {warning}")
    following = f"speechlake extract-signals --lake {lake.root} --corpus {corpus.name}"
    return Report(NAME, outcome, this.run_id, this.counts, following, result.refusal)


def _counts(result: IngestResult) -> dict[str, int]:
    said = result.ingested
    return {
        "manifests": result.manifests,
        "manifests_parsed": result.parsed,
        "manifests_gone": result.gone,
        "files_not_recognised": result.unrecognised,
        "lines": said.lines,
        "utterances": said.utterances,
        "repeats": said.repeats,
        "quarantined": said.quarantined,
        "files_listed": result.listed,
        "places_not_listed": result.unlisted,
        "recordings_changed": result.relisted,
        "recordings_missing": result.missing,
        "speaker_placeholders": said.speaker_placeholders,
        "texts_of_several_channels": result.texts_aside,
        **({"lines_erased": said.erased} if said.erased else {}),
        **({"manifests_erased": result.erased} if result.erased else {}),
    }


def _sentence(result: IngestResult) -> str:
    c = _counts(result)
    return (
        f"{c['lines']} lines of {c['manifests_parsed']} manifest(s), {c['manifests_gone']} gone: {c['utterances']} utterances, {c['repeats']} repeats, "
        f"{c['quarantined']} quarantined; {c['files_listed']} files listed, {c['recordings_changed']} changed, {c['recordings_missing']} missing"
    )


def _warnings(result: IngestResult) -> Iterator[str]:
    """What lies beside the corpus and is in no table, told at every run."""
    if result.unrecognised:
        yield (
            f"{result.unrecognised} file(s) are called like manifests, and no format recognises them, or they are "
            f"links out of their SOURCE; first {result.first_unrecognised}. They were left out; name one with its --format to take it as it is."
        )
    if result.erased or result.ingested.erased:
        yield (
            f"{result.erased} manifest(s) and {result.ingested.erased} line(s) name what was erased on request, and "
            "were left out. Delete the audio and the lines where they lie."
        )
    if result.unlisted:
        yield (
            f"{result.unlisted} file(s) or folder(s) under the roots and SOURCEs cannot be looked at, or have names "
            f"that no table can hold; first: {result.first_unlisted}. Recordings there stay as they were last seen."
        )
    for (name, uri), recordings in result.empty_roots.items():
        yield f"none of {recordings} recordings is under {name} = {uri}: is --audio-root right?"
    if result.speakers:
        yield (
            f"declared to have a single speaker, and {result.speakers} are known: splits keep each on one side, as "
            "of any other corpus. --no-single-speaker takes the declaration back."
        )
    if result.texts_aside:
        yield (
            f"{result.texts_aside} line(s) have one text for a recording of several channels, and nobody knows who "
            "said which words: it is no utterance's, and stands in extras['text_of_all_channels']."
        )


def _by_name(flag: str, said: Sequence[str], default: str | None = None) -> dict[str, str]:
    """Values of NAME=VALUE by their names, `default` being the name of a value alone; UsageError for a name that
    is given twice, and for one that lacks."""
    found: dict[str, str] = {}
    for text in said:
        name, equals, value = text.partition("=")
        if not equals or "/" in name:
            if default is None:
                raise UsageError(f"{flag} {text!r}: expected NAME=VALUE")
            name, value = default, text
        if name in found:
            raise UsageError(
                f"{flag} names {name!r} twice: {found[name]!r} and {value!r}",
                hint="Give each a name of its own: NAME=VALUE.",
            )
        found[name] = value
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; the exit code."""
    return job.main(
        NAME,
        arguments(),
        lambda lake, parsed: run(lake, parsed.declared, wait_s=parsed.wait, progress=Progress()),
        argv,
        read=_read,
    )


def _read(parsed: argparse.Namespace) -> None:
    parsed.declared = corpus_of(parsed)


if __name__ == "__main__":
    sys.exit(main())
