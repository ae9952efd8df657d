"""Which version of the contracts a lake has: a marker file for each that it reached, `<lake>/_contract/<version>`.

Only the names count, and markers are never changed, so that no kill and no second driver leaves half a version.
A lake without markers is new, or from before there was a number; of that one, each table's columns are compared.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from speechlake import __version__
from speechlake.errors import Busy, LakeMismatch
from speechlake.locks import UPGRADE, held, lock_file
from speechlake.schemas import TABLES
from speechlake.schemas.contract import CONTRACT

if TYPE_CHECKING:
    from speechlake.lake import Lake

FOLDER = "_contract"
# What a lake without markers is, once somebody asks to upgrade it.
UNNUMBERED = 1


def version_of(lake: Lake) -> int | None:
    """The version that the lake was brought to; None where nothing says."""
    return newest([entry.name for entry in lake.files.entries(f"{lake.root}/{FOLDER}")])


def newest(names: Iterable[str]) -> int | None:
    """The highest version among names of markers; None where there is none."""
    return max((int(name) for name in names if name.isdigit()), default=None)


def mark(lake: Lake, version: int = CONTRACT) -> None:
    """Say that the lake has reached `version`."""
    lake.files.write_text(f"{lake.root}/{FOLDER}/{version}", f"by speechlake {__version__}\n")


def mark_new(lake: Lake) -> None:
    """Give a lake that has no table yet this code's version. Called before its first table is made."""
    if version_of(lake) is None and not TABLES.keys() & set(lake.files.folders(lake.root)):
        mark(lake)


def unmark(lake: Lake, version: int) -> None:
    """Take back what `mark` said, where nothing was changed yet."""
    lake.files.delete(f"{lake.root}/{FOLDER}/{version}")


def check_version(lake: Lake) -> None:
    """LakeMismatch unless this code may read and write the lake; Busy while somebody upgrades it, where locks tell."""
    found = mismatch(lake.root, version_of(lake))
    if found is None:
        return
    upgrade = held(lock_file(lake.root, UPGRADE)) if lake.is_local else None
    if upgrade is not None:
        raise Busy(f"{upgrade.who} is under way in {lake.root}", hint="Wait for it, then run again.")
    raise found


def mismatch(root: str, found: int | None) -> LakeMismatch | None:
    """What keeps this code off the lake at `root`, whose version is `found`; None where nothing does."""
    if found is None or found == CONTRACT:
        return None
    if found > CONTRACT:
        return LakeMismatch(
            f"the lake {root} has contract version {found}, speechlake {__version__} knows {CONTRACT}",
            hint="Install the version of speechlake that upgraded it; a lake is never brought back.",
        )
    return LakeMismatch(
        f"the lake {root} has contract version {found}, speechlake {__version__} needs {CONTRACT}",
        hint=f"Run `speechlake upgrade-lake --lake {root}` (--plan shows what it would do).",
    )
