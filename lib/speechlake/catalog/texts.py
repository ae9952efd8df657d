"""The views of `speechlake.views` as SQL text that Spark understands by itself, with Delta and nothing of ours.

What changes by code (inputs of extractors, derived values, normalisers) is spelled from the same expressions
that jobs use; what changes by data (the profile, the release published last) is looked up by the view itself.
A test compares each view with its original, value by value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from speechlake.catalog.expressions import sql_of
from speechlake.feedback.spec import PREFIX, STORED
from speechlake.schemas import TABLES, TRANSCRIPTS, UTTERANCES, Table
from speechlake.signals import EXTRACTORS
from speechlake.signals.plan import inputs_hash
from speechlake.splits.signals import derived_columns
from speechlake.sql_text import literal
from speechlake.sql_text import name as quoted
from speechlake.text.score import normaliser_of, scoring_language
from speechlake.views import SCORE_COLUMNS, extractor_inputs, value_columns

# How a table is called where the view is made.
Named = Callable[[str], str]

PLACE = ("root", "path", "container", "member", "byte_offset", "byte_length", "listing_key")
# The fingerprints of the profile, by `extractor/language` and `extractor/` for every other language: as
# `speechlake.signals.catalogue.profile`, cut windows for languages that were found equal, else full ones.
PROFILE = """said AS (
  SELECT extractor, language, max_by(fingerprint, n) AS fingerprint FROM {profiles} GROUP BY extractor, language
),
judged AS (
  SELECT fingerprint, language, max_by(equal, n) AS equal, max(full_fingerprint) AS full_fingerprint
  FROM {calibrations} GROUP BY fingerprint, language
),
cut AS (SELECT fingerprint, max(full_fingerprint) AS full_fingerprint FROM judged GROUP BY fingerprint),
heard AS (
  SELECT said.extractor, said.language,
    CASE WHEN judged.equal THEN said.fingerprint ELSE coalesce(cut.full_fingerprint, said.fingerprint) END AS fingerprint
  FROM said LEFT JOIN cut ON cut.fingerprint = said.fingerprint
  LEFT JOIN judged ON judged.fingerprint = said.fingerprint AND judged.language = said.language
  UNION ALL
  SELECT said.extractor, judged.language, said.fingerprint
  FROM said JOIN judged ON judged.fingerprint = said.fingerprint AND judged.equal
  LEFT ANTI JOIN said own ON own.extractor = said.extractor AND own.language = judged.language
  WHERE said.language IS NULL
),
profile AS (
  SELECT map_from_entries(collect_list(struct(concat(extractor, '/', coalesce(language, '')), fingerprint)))
    AS fingerprints FROM heard
)"""
# What the release published last says of each utterance.
RELEASED = """SELECT s.utterance_id, s.split, CAST(NULL AS STRING) AS excluded_by
    FROM {splits} s JOIN newest ON s.build_id = newest.build_id
    UNION ALL SELECT d.utterance_id, CAST(NULL AS STRING), d.rule
    FROM {decisions} d JOIN newest ON d.build_id = newest.build_id"""


def nothing_of(table: Table) -> str:
    """A table that was never written: its columns, without rows."""
    columns = ", ".join(f"CAST(NULL AS {c.type}) AS {quoted(c.name)}" for c in table.columns)
    return f"SELECT {columns} WHERE false"


def all_transcripts(table: Named) -> str:
    """As `speechlake.views.all_transcripts`."""
    columns = ", ".join(map(quoted, TRANSCRIPTS.column_names))
    heard = {
        "source": "concat('whisper:', fingerprint)",
        "kind": "'machine'",
        "language": "min(decoded_language)",
        "retired_in": "CAST(NULL AS STRING)",
    }
    told = ", ".join(f"{heard.get(name, name)} AS {quoted(name)}" for name in TRANSCRIPTS.column_names)
    return (
        f"SELECT {columns} FROM {table('transcripts')}\nUNION ALL\n"
        f"SELECT {told} FROM {table('signals_whisper')} WHERE error IS NULL\n"
        "GROUP BY corpus, utterance_id, fingerprint, text_sha256, text"
    )


def imported_now(table: Named) -> str:
    """As `speechlake.feedback.current.imported_now`."""
    columns = ", ".join(f"s.{quoted(c)}" for c in ("corpus", "utterance_id", "name", *STORED.values()))
    return f"""WITH current AS (
  SELECT max_by(fingerprint, n) AS fingerprint FROM {table("profiles")}
  WHERE startswith(extractor, {literal(PREFIX)}) GROUP BY extractor, language
),
here AS (
  SELECT u.utterance_id, h.content_sha256 FROM {table("utterances")} u
  JOIN {table("recordings")} r ON u.recording_id = r.recording_id
  JOIN {table("content_hashes")} h ON h.recording_id = r.recording_id AND h.listing_key = r.listing_key
  WHERE u.retired_in IS NULL
)
SELECT {columns} FROM {table("signals_imported")} s
LEFT SEMI JOIN current ON s.fingerprint = current.fingerprint
LEFT SEMI JOIN here ON s.utterance_id = here.utterance_id AND s.content_sha256 = here.content_sha256"""


def utterances_now(table: Named, columns: Sequence[str]) -> str:
    """As `speechlake.views.utterances_now`, with `columns` in their order."""
    tables = {name: table(name) for name in TABLES}
    derived = ",\n  ".join(f"{sql_of(value)} AS {quoted(name)}" for name, value in derived_columns().items())
    scores = ", ".join(f"sc.{quoted(name)} AS {quoted(f'score_{name}')}" for name in SCORE_COLUMNS)
    normaliser = sql_of(normaliser_of(scoring_language()))
    return f"""WITH {PROFILE.format(**tables)},
main_text AS (
  SELECT utterance_id, min(struct(text_sha256, source, text)) AS t FROM {tables["transcripts"]}
  WHERE source = 'manifest' AND retired_in IS NULL GROUP BY utterance_id
),
tried AS (
  SELECT utterance_id, fingerprint, listing_key, inputs_hash, max(struct(n, code)).code AS code
  FROM {tables["attempts"]} GROUP BY utterance_id, fingerprint, listing_key, inputs_hash
),
newest AS (SELECT build_id FROM {tables["releases"]} ORDER BY published_at DESC, release LIMIT 1),
released AS (
  {RELEASED.format(**tables)}
),
located AS (
  {_located(tables)}
),
measured AS (
  {_measured(tables)}
),
scored AS (
  SELECT measured.*, {normaliser} AS wanted_normaliser FROM measured
),
joined AS (
  SELECT scored.*, {scores},
    d.cluster_id, d.overlap_id, d.kind AS duplicate_kind, released.split, released.excluded_by
  FROM scored
  LEFT JOIN {tables["scores"]} sc ON sc.utterance_id = scored.utterance_id
    AND sc.hypothesis_source = concat('whisper:', scored.whisper_fingerprint)
    AND sc.hypothesis_sha256 = scored.whisper_text_sha256
    AND sc.reference_source = scored.text_source AND sc.reference_sha256 = scored.text_sha256
    AND sc.normaliser = scored.wanted_normaliser
  LEFT JOIN {tables["duplicates"]} d ON d.utterance_id = scored.utterance_id
  LEFT JOIN released ON released.utterance_id = scored.utterance_id
),
told AS (
  SELECT joined.*,
  {derived}
  FROM joined
)
SELECT {", ".join(map(quoted, columns))} FROM told"""


def _located(tables: dict[str, str]) -> str:
    """Every utterance that is not retired, its recording's place and content, and what is wanted of each extractor."""
    own = [name for name in UTTERANCES.column_names if name not in ("byte_offset", "retired_in")]
    wanted = []
    for name in EXTRACTORS:
        slots = f"concat({literal(f'{name}/')}, split_part(u.language, '-', 1))", literal(f"{name}/")
        found = ", ".join(f"try_element_at(profile.fingerprints, {slot})" for slot in slots)
        wanted.append(f"coalesce({found}) AS wanted_{name}")
        wanted.append(f"{sql_of(inputs_hash(extractor_inputs(name)))} AS inputs_{name}")
    chosen = [f"u.{quoted(name)}" for name in own] + [f"r.{quoted(name)}" for name in PLACE]
    return f"""SELECT {", ".join(chosen)}, r.state AS recording_state, h.content_sha256,
    coalesce(h.content_sha256, concat('listing:', r.listing_key)) AS content_key,
    {(", " + chr(10) + "    ").join(wanted)}
  FROM {tables["utterances"]} u
  LEFT JOIN {tables["recordings"]} r ON u.recording_id = r.recording_id
  LEFT JOIN (
    SELECT recording_id, listing_key, min(content_sha256) AS content_sha256
    FROM {tables["content_hashes"]} GROUP BY recording_id, listing_key
  ) h ON h.recording_id = r.recording_id AND h.listing_key = r.listing_key
  CROSS JOIN profile
  WHERE u.retired_in IS NULL"""


def _measured(tables: dict[str, str]) -> str:
    """`located` with the current row of every extractor, and the manifest's own text."""
    columns, joins = [], []
    for name in EXTRACTORS:
        s, a = quoted(f"s_{name}"), quoted(f"a_{name}")
        columns.append(f"{s}.fingerprint AS {name}_fingerprint")
        columns += [f"{s}.{quoted(c)} AS {quoted(f'{name}_{c}')}" for c in value_columns(name)]
        columns.append(f"CASE WHEN {s}.fingerprint IS NULL THEN {a}.code END AS {name}_attempt_code")
        joins.append(
            f"LEFT JOIN {tables[f'signals_{name}']} {s} ON {s}.utterance_id = located.utterance_id"
            f" AND {s}.content_sha256 = located.content_key AND {s}.fingerprint = located.wanted_{name}"
            f" AND {s}.inputs_hash = located.inputs_{name}"
        )
        joins.append(
            f"LEFT JOIN tried {a} ON {a}.utterance_id = located.utterance_id"
            f" AND {a}.listing_key = located.listing_key AND {a}.fingerprint = located.wanted_{name}"
            f" AND {a}.inputs_hash = located.inputs_{name}"
        )
    text = "m.t.source AS text_source, m.t.text_sha256 AS text_sha256, m.t.text AS text"
    return (
        f"SELECT located.*, {text},\n    {', '.join(columns)}\n  FROM located\n  "
        + "\n  ".join(joins)
        + "\n  LEFT JOIN main_text m ON m.utterance_id = located.utterance_id"
    )
