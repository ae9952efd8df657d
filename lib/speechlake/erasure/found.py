"""What a request means in this lake: the utterances, recordings and manifests that go, and what stays beside them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING

from speechlake.erasure.refused import in_refused_lines
from speechlake.erasure.request import Request, Subject
from speechlake.erasure.tombstones import hash_of, known_hashes
from speechlake.errors import UsageError

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from speechlake.lake import Lake

# Around a name behind its namespace or corpus.
OUTER_SPACES = r"(?U)^([^:]*:)\s+|\s+$"
OF_MANIFEST = ("corpus", "uri")
# What a request names: the kind of its tombstone, and what is hashed.
Value = tuple[str, ...]


@dataclass(frozen=True)
class Meant:
    """A request in the lake's own ids: few values, as a person wrote them."""

    speakers: Sequence[str]
    recordings: Sequence[str]
    utterances: Sequence[str]
    source_ids: Sequence[tuple[str, str]]
    corpora: Sequence[str]
    # Where refused lines may speak of what is named, and by which word.
    spoken_of: Mapping[Value, tuple[frozenset[str], str]]

    @property
    def concerned(self) -> set[str]:
        """Corpora whose refused lines may speak of what is named."""
        return {corpus for corpora, _ in self.spoken_of.values() for corpus in corpora}


def meant(lake: Lake, request: Request) -> Meant:
    """The request with speakers in their namespaces. UsageError for a corpus or namespace that never was."""
    rows = lake.read("corpora").select("corpus", "speaker_namespace").collect()
    namespaces = {row.corpus: row.speaker_namespace for row in rows}
    gone = known_hashes(lake, "corpus", [s.corpus for s in request.erase if s.corpus])
    # A namespace may have gone with its last corpus, by the same request.
    heard = {f"{s.namespace}:{s.speaker}": s.namespace for s in request.erase if s.namespace}
    left = {heard[speaker] for speaker in known_hashes(lake, "speaker", [*heard])}
    for subject in request.erase:
        what, name = ("namespace", subject.namespace) if subject.namespace else ("corpus", subject.corpus)
        known = {*namespaces.values(), *left} if subject.namespace else {*namespaces, *gone}
        if name is not None and name not in known:
            raise UsageError(
                f"the request names {what} {name!r}, which {lake.root} does not hold",
                hint=f"It holds: {', '.join(sorted({*namespaces.values()} if subject.namespace else namespaces)) or 'none'}.",
            )
    spoken_of = {value: way for subject in request.erase for value, way in _spoken_of(subject, namespaces)}
    return Meant(
        speakers=sorted(value[1] for value in spoken_of if value[0] == "speaker"),
        recordings=sorted({s.recording_id for s in request.erase if s.recording_id}),
        utterances=sorted({s.utterance for s in request.erase if s.utterance}),
        source_ids=sorted({(s.corpus, s.source_id) for s in request.erase if s.corpus and s.source_id}),
        corpora=sorted({s.corpus or "" for s in request.erase if s.kind == "corpus"} & {*namespaces}),
        spoken_of=spoken_of,
    )


def _spoken_of(
    subject: Subject, namespaces: Mapping[str, str]
) -> Iterator[tuple[Value, tuple[frozenset[str], str]]]:
    """What a subject names by a word, with that word and the corpora whose refused lines may speak of it."""
    corpus = subject.corpus or ""
    mine = frozenset({corpus} & namespaces.keys())
    namespace = subject.namespace or namespaces.get(corpus)
    if subject.speaker and namespace:
        spoken = frozenset(each for each, its in namespaces.items() if its == namespace)
        yield ("speaker", f"{namespace}:{subject.speaker}"), (spoken, subject.speaker)
    elif subject.source_id:
        yield ("source_id", corpus, subject.source_id), (mine, subject.source_id)
    elif subject.path:
        yield ("recording", subject.recording_id or ""), (mine, subject.member or subject.path)


@dataclass(frozen=True)
class Found:
    """Frames of what goes. `utterances`, `recordings` and `manifests` are rows of their tables, `shared` recordings
    that stay because others speak in them too."""

    utterances: DataFrame
    recordings: DataFrame
    shared: DataFrame
    manifests: DataFrame

    def forget(self) -> None:
        """Let go of what was kept to be asked many times: afterwards the tables say something else."""
        for frame in (self.utterances, self.recordings, self.manifests):
            frame.unpersist()


def found_by(lake: Lake, said: Meant) -> Found:
    """What goes by the request, retired rows included. Runs nothing; frames are kept until `forget`."""
    everyone = lake.read("utterances")
    going = _with_segments(lake, everyone.where(_chosen(said)), everyone).persist()
    staying = everyone.join(going.select("utterance_id"), on="utterance_id", how="left_anti")
    recordings = lake.read("recordings")
    kept = staying.select("recording_id").distinct()
    heard = recordings.join(going.select("recording_id").distinct(), on="recording_id", how="left_semi")
    alone = heard.join(kept, on="recording_id", how="left_anti")
    named = recordings.where(_is_in("recording_id", said.recordings) | _is_in("corpus", said.corpora))
    return Found(
        utterances=going,
        recordings=alone.unionByName(named).distinct().persist(),
        shared=heard.join(kept, on="recording_id", how="left_semi"),
        manifests=_manifests(lake, said, going, staying).persist(),
    )


def missing(lake: Lake, said: Meant, salt: str) -> list[str]:
    """What the request names that is not here, and was not erased before either: slips, most likely."""
    utterances, recordings = lake.read("utterances"), lake.read("recordings")
    here = {
        *_seen(utterances, "speaker", "speaker_id", said.speakers),
        *_seen(recordings, "recording", "recording_id", said.recordings),
        *_seen(utterances, "utterance", "utterance_id", said.utterances),
        *_seen_by_source(utterances, said),
    }
    lost = [value for value in named(said) if value not in here]
    hashes = {hash_of(salt, *value): value for value in lost}
    # Source ids that went without being named are remembered as another kind.
    hashes |= {hash_of(salt, "given", *ids): (kind, *ids) for kind, *ids in lost if kind == "source_id"}
    erased = {hashes[each] for each in _buried(lake, hashes)}
    lost = [value for value in lost if value not in erased]
    # Published under a name that its manifest has corrected since.
    speakers = [name for kind, name, *_ in lost if kind == "speaker"]
    elsewhere = {
        *_seen(lake.read("splits"), "speaker", "speaker_id", speakers),
        *in_refused_lines(lake, said, lost),
    }
    return [" ".join(value) for value in lost if value not in elsewhere]


def alike(lake: Lake, said: Meant) -> list[str]:
    """Speakers and source ids that are those of the request but for case, outer spaces or Unicode's form of accents.

    They stay: whether they are the same, only a person can say.
    """
    from pyspark.sql import functions as F

    utterances = lake.read("utterances")
    asked: dict[str, tuple[Column, Sequence[str]]] = {
        "speaker": (F.col("speaker_id"), said.speakers),
        "source_id": (F.concat_ws(":", "corpus", "source_id"), [":".join(pair) for pair in said.source_ids]),
    }
    found = []
    for kind, (whole, names) in asked.items():
        if names:
            few = lake.spark.createDataFrame([(name,) for name in names], "asked string")
            here = utterances.select(whole.alias("id")).distinct()
            same = _folded("id") == _folded("asked")
            rows = here.join(F.broadcast(few), on=same, how="left_semi").orderBy("id").collect()
            found += [f"{kind} {row.id}" for row in rows if row.id not in names]
    return found


def _folded(column: str) -> Column:
    from pyspark.sql import functions as F

    return F.collate(F.regexp_replace(column, OUTER_SPACES, "$1"), "UNICODE_CI")


def named(said: Meant) -> list[Value]:
    """All that the request names but corpora."""
    plain = {"speaker": said.speakers, "recording": said.recordings, "utterance": said.utterances}
    ids = [(kind, value) for kind, values in plain.items() for value in values]
    return [*ids, *(("source_id", *pair) for pair in said.source_ids)]


def is_remembered(lake: Lake, said: Meant, salt: str) -> bool:
    """True where all that the request names is refused already. What went with somebody else is not: its rows are
    gone, and its source id may come back from another path."""
    hashes = {hash_of(salt, *value) for value in named(said)}
    return hashes <= _buried(lake, hashes)


def _buried(lake: Lake, hashes: Collection[str]) -> set[str]:
    """Those of a few hashes that are tombstones."""
    from pyspark.sql import functions as F

    rows = lake.read("tombstones").where(F.col("hash").isin(list(hashes))).select("hash").collect()
    return {row.hash for row in rows}


def _seen(table: DataFrame, kind: str, column: str, values: Sequence[str]) -> list[tuple[str, str]]:
    if not values:
        return []
    rows = table.where(_is_in(column, values)).select(column).distinct().collect()
    return [(kind, row[column]) for row in rows]


def _seen_by_source(utterances: DataFrame, said: Meant) -> list[tuple[str, str, str]]:
    if not said.source_ids:
        return []
    rows = utterances.where(_by_source(said)).select("corpus", "source_id").distinct().collect()
    return [("source_id", row.corpus, row.source_id) for row in rows]


def _chosen(said: Meant) -> Column:
    """True for utterances that the request names, one way or another."""
    ways = {
        "speaker_id": said.speakers,
        "recording_id": said.recordings,
        "utterance_id": said.utterances,
        "corpus": said.corpora,
    }
    named = [_is_in(column, values) for column, values in ways.items()]
    return reduce(lambda one, other: one | other, named, _by_source(said))


def _by_source(said: Meant) -> Column:
    from pyspark.sql import functions as F

    if not said.source_ids:
        return F.lit(False)
    # Neither may hold NUL: corpora have strict names, and ingest refuses it in texts.
    pairs = ["\0".join(pair) for pair in said.source_ids]
    return F.coalesce(F.concat("corpus", F.lit("\0"), "source_id").isin(pairs), F.lit(False))


def _is_in(column: str, values: Sequence[str]) -> Column:
    """Never null, so that it can be negated."""
    from pyspark.sql import functions as F

    return F.coalesce(F.col(column).isin(list(values)), F.lit(False)) if values else F.lit(False)


def _with_segments(lake: Lake, chosen: DataFrame, everyone: DataFrame) -> DataFrame:
    """With what was cut out of the chosen: a segment lives as long as what it was cut from."""
    from pyspark.sql import functions as F

    if not lake.exists("segmentations"):
        return chosen
    cut = (
        lake.read("segmentations")
        .join(chosen.select("utterance_id"), on="utterance_id", how="left_semi")
        .select(F.explode("segments.utterance_id").alias("utterance_id"))
    )
    ids = chosen.select("utterance_id").unionByName(cut).distinct()
    return everyone.join(ids, on="utterance_id", how="left_semi")


def _manifests(lake: Lake, said: Meant, going: DataFrame, staying: DataFrame) -> DataFrame:
    """Rows of `manifests` that list nobody else: their names may tell who it was (`1272-128104.trans.txt`)."""
    from pyspark.sql import functions as F

    repeats = lake.read("repeats")

    def listing(utterances: DataFrame) -> DataFrame:
        own = utterances.select("corpus", F.col("manifest_uri").alias("uri"))
        again = repeats.join(utterances.select("utterance_id"), on="utterance_id", how="left_semi")
        return own.unionByName(again.select(*OF_MANIFEST)).distinct()

    alone = listing(going).join(listing(staying), on=[*OF_MANIFEST], how="left_anti")
    rows = lake.read("manifests")
    of_them = rows.join(alone, on=[*OF_MANIFEST], how="left_semi")
    return of_them.unionByName(rows.where(_is_in("corpus", said.corpora))).distinct()
