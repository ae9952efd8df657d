"""A review as one page: clips to listen to, both texts, and keys for what the reviewer hears."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from markupsafe import Markup

from speechlake.feedback.spec import NAME_CHARACTERS, STRICT
from speechlake.feedback.verdicts import VERDICTS
from speechlake.ids import make_id
from speechlake.page.render import TEMPLATES, rendered
from speechlake.page.sounds import MAX_S, Sound, sound

# Characters of a page that browsers open without delay; a clip of 5 s has 150 kB.
MAX_MB = 60
SCRIPT = "review.js"


@dataclass(frozen=True)
class Review:
    """What is reviewed, and where its answers go back to."""

    lake: str
    rule: str
    policy: str
    policy_sha256: str
    said_by: str
    seed: int

    @property
    def import_name(self) -> str:
        """The import under which its answers come back: one for each rule and seed, so that none replaces another's."""
        name = f"review_{self.rule}"
        if not self.seed and len(name) <= NAME_CHARACTERS and re.fullmatch(STRICT, name):
            return name
        told_apart = make_id("review", self.rule, str(self.seed))[:8]
        return re.sub(r"_+", "_", name)[: NAME_CHARACTERS - 9].strip("_") + f"_{told_apart}"


@dataclass(frozen=True)
class Item:
    """An utterance of the sample with its sound."""

    row: Mapping[str, Any]
    sound: Sound


def with_sounds(
    rows: Sequence[Mapping[str, Any]], roots: Mapping[str, Mapping[str, str]], *, max_mb: float = MAX_MB
) -> Iterator[Item]:
    """The rows with their sounds, until the page has `max_mb`; `roots` are the roots of each corpus.

    Strata take turns in the rows, so that what is left out at the end is as much of one as of another.
    """
    left = max_mb * 1e6
    for row in rows:
        content = row["content_sha256"] or f"listing:{row['listing_key']}"
        heard = sound({**row, "content_key": content}, roots.get(row["corpus"], {}))
        left -= heard.size_bytes
        if left < 0:
            return
        yield Item(row, heard)


def review_page(review: Review, items: Sequence[Item], *, left_out: int = 0) -> str:
    """The page as HTML. Its script is the only one that may run: what else might slip in is refused by its hash."""
    script = (files("speechlake.page") / TEMPLATES / SCRIPT).read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    thresholds = sorted({str(item.row["threshold"]) for item in items if item.row["threshold"] is not None})
    return rendered(
        "review.html",
        review=review,
        items=items,
        left_out=left_out,
        thresholds=thresholds,
        verdicts=VERDICTS,
        # What answers are remembered under by the browser: another sample begins anew.
        memory=make_id("review", review.policy_sha256, *(str(item.row["utterance_id"]) for item in items)),
        script=Markup(script),
        script_sha256=digest,
        max_s=MAX_S,
    )
