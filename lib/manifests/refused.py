"""Why an ingest did not take a manifest, in a line that names the first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from speechlake.errors import SpeechlakeError, TooManyRejected

if TYPE_CHECKING:
    from speechlake.lake import Lake


def refusal(lake: Lake, corpus: str, newest: Mapping[str, Any]) -> SpeechlakeError | None:
    """TooManyRejected when the newest version of a named manifest stands refused, now or since an earlier run."""
    refused = [manifest for manifest in newest.values() if manifest is not None and not manifest.accepted]
    if not refused:
        return None
    first = refused[0]
    found = f"{first.quarantined} of {first.lines} lines refused, {first.max_reject:.0%} allowed"
    if not first.lines:
        found = "no lines"
    elif not first.utterances + first.repeats:
        found = f"none of {first.lines} lines can be taken"
    elif first.quarantined <= first.max_reject * first.lines:
        found = f"the file breaks off after {first.lines} lines"
    return TooManyRejected(
        f"{len(refused)} manifest(s) of {corpus} not accepted; {first.uri}: {found}",
        hint=f"speechlake sql --lake {lake.root} \"select reason, count(*) n, min(line_number), min(detail) from quarantine where corpus = '{corpus}' and sha256 = '{first.sha256}' group by 1 order by n desc\"",
    )
