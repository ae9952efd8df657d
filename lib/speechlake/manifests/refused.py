"""Why an ingest did not take a manifest, or will not read it, in a line that names the first."""

from __future__ import annotations

import json
import shlex
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from speechlake.corpora import READING, Corpus
from speechlake.errors import SpeechlakeError, TooManyRejected, UsageError
from speechlake.manifests.classify import may_be_refused
from speechlake.manifests.versions import only_options_differ

if TYPE_CHECKING:
    from speechlake.lake import Lake


def refuse_forgotten(
    lake: Lake, corpus: Corpus, versions: Sequence[Mapping[str, Any]], newest: Mapping[str, Any]
) -> None:
    """UsageError where manifests that did not change would be read otherwise only because nothing says how.

    `newest` are the rows of known manifests by uri. All that they list would become other utterances, and retire.
    """
    if corpus.model_fields_set & set(READING):
        return
    same = [(v, newest[v["uri"]]) for v in versions if v["uri"] in newest]
    turned = [known for v, known in same if only_options_differ(known, v)]
    said = _read_before(lake, {known.run_id for known in turned}) if turned else ""
    if said:
        raise UsageError(
            f"{len(turned)} manifest(s) of {corpus.name} were read with {said} and did not change, such as "
            f"{turned[0].uri}: read without, they would list other utterances",
            hint=f"Give {said} again. To read them without, say so: --relative-to auto, or relative_to: auto in corpora.yaml.",
        )


def _read_before(lake: Lake, run_ids: Collection[str]) -> str:
    """The flags, of those that say how manifests are read, of the first of these runs that had any; empty for none."""
    from pyspark.sql import functions as F

    runs = lake.read("runs").where(F.col("run_id").isin(*run_ids)).orderBy("run_id")
    told = (_reading_flags(json.loads(run.arguments)) for run in runs.select("arguments").collect())
    return next(filter(None, told), "")


def _reading_flags(arguments: Mapping[str, Any]) -> str:
    flags = [
        f"--column {shlex.quote(f'{role}={name}')}" for role, name in arguments.get("columns", {}).items()
    ]
    for name in ("suffix", "relative_to", "quoting"):
        value = arguments.get(name)
        if value not in (None, "auto"):
            flags.append(f"--{name.replace('_', '-')} {value}")
    return " ".join(flags)


def refusal(lake: Lake, corpus: str, newest: Mapping[str, Any]) -> SpeechlakeError | None:
    """TooManyRejected when the newest version of a named manifest stands refused, now or since an earlier run."""
    refused = [manifest for manifest in newest.values() if manifest is not None and not manifest.accepted]
    if not refused:
        return None
    first = refused[0]
    found = f"{first.quarantined} of {first.lines} lines refused, {first.max_reject * 100:.6g} % allowed"
    if not first.lines:
        found = "no lines"
    elif not first.utterances + first.repeats:
        found = f"none of {first.lines} lines can be taken"
    elif first.quarantined <= may_be_refused(first.lines, first.max_reject):
        found = f"the file breaks off after {first.lines} lines"
    return TooManyRejected(
        f"{len(refused)} manifest(s) of {corpus} not accepted; {first.uri}: {found}",
        hint=f"speechlake sql --lake {lake.root} \"select reason, count(*) n, min(line_number), min(detail) from quarantine where corpus = '{corpus}' and sha256 = '{first.sha256}' group by 1 order by n desc\"",
    )
