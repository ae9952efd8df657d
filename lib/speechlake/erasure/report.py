"""The report of an erasure, for whoever asked: what was held, where, what went, and what is left to do elsewhere.

Markdown for people, and the same as JSON beside it. It names who was erased: it lies outside the lake. It is
written before anything is deleted, because nobody can tell afterwards, and once more at the end.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from speechlake.errors import UsageError
from speechlake.locks import local_folder

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from speechlake.erasure.found import Found
    from speechlake.erasure.request import Request
    from speechlake.erasure.step import Counted
    from speechlake.lake import Lake

# A person has some thousand files. Of a corpus with more the report says how many more, and under which roots.
FILES_TOLD = 10_000
PLANNED, UNDER_WAY, DONE = "planned", "under way", "done"
BEGUN = (UNDER_WAY, DONE)
Account = dict[str, Any]
# What an account lists up to FILES_TOLD of; `more_<name>` says how many more there are.
LISTED = ("files", "shared_files", "manifests")


def require_place(path: Path | None, lake: Lake) -> None:
    """UsageError where a report cannot be written, is its own JSON, or would lie in the lake, whose files must name
    nobody."""
    if path is None:
        return
    if path.resolve() == json_path(path).resolve():
        raise UsageError(
            f"--report {path} is the file of the JSON beside the report",
            hint=f"Name the Markdown: --report {path.with_suffix('.md')}.",
        )
    if lake.is_local and path.resolve().is_relative_to(local_folder(lake.root).resolve()):
        raise UsageError(
            f"--report {path} lies in the lake", hint="A report names who was erased: write it elsewhere."
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for file in (path, _beside(path), json_path(path), _beside(json_path(path))):
            was_there = file.exists()
            file.open("a").close()
            if not was_there:
                file.unlink()
    except OSError as error:
        raise UsageError(
            f"--report {path} cannot be written: {error.strerror or error}",
            hint="Name a file in a folder that this user may write to.",
        ) from None


def require_apart(path: Path | None, request: Path) -> None:
    """UsageError where a report, or the JSON beside it, would take the place of the file of its request."""
    if path is not None and request.resolve() in (path.resolve(), json_path(path).resolve()):
        raise UsageError(
            f"--report {path}, or the JSON beside it, is the file of the --request",
            hint="Name another file: the request is needed again where an erasure is interrupted.",
        )


def account(lake: Lake, request: Request, there: Found, found: Counted, mentions: Sequence[str]) -> Account:
    """What is known before anything goes, as plain values."""
    from pyspark.sql import functions as F

    manifests = there.manifests.select(F.concat_ws(" ", "corpus", "uri").alias("place"))
    return {
        **_asked(lake, request),
        "rows": dict(found.rows),
        "redacted": dict(found.redacted),
        "releases": [asdict(each) for each in found.releases],
        **_told("files", _places(lake, there.recordings)),
        **_told("shared_files", _places(lake, there.shared)),
        **_told("manifests", manifests),
        "roots": _roots(lake, there.recordings),
        "mentions": list(mentions),
    }


def account_of_note(lake: Lake, request: Request, note: Mapping[str, Any]) -> Account:
    """The same of an interrupted run that left no report: numbers are staged, names are not."""
    counted = {name: note[name] for name in ("rows", "redacted", "releases")}
    nothing: Account = {name: [] for name in (*LISTED, "roots")} | {f"more_{name}": 0 for name in LISTED}
    lost = "Which files and manifests these were is not known any more: the run that began had no --report, or another."
    return {**_asked(lake, request), **counted, **nothing, "mentions": [lost]}


def _asked(lake: Lake, request: Request) -> Account:
    return {
        "reference": request.reference,
        "requested_by": request.requested_by,
        "date": request.date,
        "lake": lake.root,
        "asked": [subject.told() for subject in request.erase],
    }


def _told(name: str, places: DataFrame) -> Account:
    """Up to FILES_TOLD of some places (place), and how many more there are."""
    each = places.distinct()
    told = [row.place for row in each.orderBy("place").limit(FILES_TOLD).collect()]
    return {name: told, f"more_{name}": each.count() - len(told) if len(told) == FILES_TOLD else 0}


def _places(lake: Lake, recordings: DataFrame) -> DataFrame:
    """(place): where the audio of some recordings lies, in full."""
    from pyspark.sql import functions as F

    place = F.concat_ws("/", F.regexp_replace("uri", "/$", ""), F.coalesce("container", "path"))
    inside = F.when(F.col("member").isNotNull(), F.concat(F.lit(" member "), "member")).otherwise("")
    return _with_root(lake, recordings).select(F.concat(place, inside).alias("place"))


def _roots(lake: Lake, recordings: DataFrame) -> list[str]:
    """URIs of the roots that the audio of some recordings lies under: as many as corpora have."""
    rows = _with_root(lake, recordings).where("uri IS NOT NULL").select("uri").distinct().collect()
    return sorted(row.uri for row in rows)


def _with_root(lake: Lake, recordings: DataFrame) -> DataFrame:
    """Recordings with the `uri` of their root, null where no corpus knows it any more."""
    from pyspark.sql import functions as F

    roots = lake.read("corpora").select("corpus", F.explode("roots").alias("r"))
    uris = roots.select("corpus", F.col("r.name").alias("root"), F.col("r.uri").alias("uri"))
    return recordings.join(F.broadcast(uris), on=["corpus", "root"], how="left")


def write_report(
    path: Path | None, said: Account, state: str, run_id: str, problems: Sequence[str] = ()
) -> None:
    """Write `path` and the JSON beside it; nothing without a path. A plan never takes the place of what was begun or
    done for the same reference: nobody could tell it again."""
    if path is None or (state == PLANNED and _written(path, said["reference"]).get("state") in BEGUN):
        return
    whole = {
        **said,
        "state": state,
        "run_id": run_id,
        "written_at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
    }
    whole["left_to_do"] = [*_left(whole), *problems]
    _put(path, "\n".join(_markdown(whole)))
    # Last, because it is what the next run reads: until it is done, both are written again.
    _put(json_path(path), json.dumps(whole, ensure_ascii=False, indent=2))


def _put(path: Path, text: str) -> None:
    """Write a file in one step: from half an account nobody could tell who was erased."""
    beside = _beside(path)
    try:
        with beside.open("w", encoding="utf-8") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            # Whoever made it may have seen to it that others do not read it.
            shutil.copymode(path, beside)
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def _beside(path: Path) -> Path:
    """Where a report is written before it takes the place of the last one."""
    return path.with_name(f".{path.name}.new")


def begun_report(path: Path | None, reference: str) -> Account | None:
    """What an interrupted run wrote of the same request; None where there is nothing."""
    said = _written(path, reference)
    return said if said.get("state") == UNDER_WAY else None


def _written(path: Path | None, reference: str) -> Account:
    """What lies at `path`; empty where that is nothing, or of another request."""
    try:
        said = json.loads(json_path(path).read_text(encoding="utf-8")) if path is not None else None
    except (OSError, ValueError):
        return {}
    return said if isinstance(said, dict) and said.get("reference") == reference else {}


def json_path(path: Path) -> Path:
    """The JSON beside a report."""
    return path.with_name(f"{path.stem}.json")


def _left(said: Account) -> Iterator[str]:
    """What no job of a lake can do."""
    if said["files"] or said["manifests"]:
        yield (
            "The audio and the manifests are not the lake's: delete the files below, and the lines in manifests "
            "that list others too. Until then ingest reads them, and leaves out what was erased."
        )
    if more := said.get("more_files"):
        yield f"Of the files {len(said['files'])} are listed; {more} more lie under {', '.join(said['roots'])}."
    if said["shared_files"]:
        stay = len(said["shared_files"]) + said.get("more_shared_files", 0)
        yield f"{stay} recordings stay because others speak in them; the person can be heard there."
    if said["releases"]:
        yield "Whoever opened these releases, or copied their audio, has copies: tell them, and name the successors."
    yield "Backups, object-store versions and snapshots of the lake's folder are not reached: let them expire."
    yield "Pages written by report, review and diff-releases lie where they were written: delete those that show clips."
    if said["rows"].get("duplicates") or said["rows"].get("audio_pairs"):
        yield f"Copies are told anew by `speechlake find-duplicates --lake {said['lake']}`."
    yield from said["mentions"]


def _markdown(said: Account) -> Iterator[str]:
    """The report as lines; names stand in code spans, so that none of them is markup."""
    head = {PLANNED: "Plan of an erasure", UNDER_WAY: "Erasure under way", DONE: "Erasure done"}[
        said["state"]
    ]
    yield from (f"# {head}: {said['reference']}", "")
    yield f"Asked by {_code(said['requested_by'])} on {said['date']}; {said['state']} {said['written_at']}."
    yield from (f"Lake {_code(said['lake'])}, run {_code(said['run_id'])}.", "")
    yield from _section("Asked for", [_code(each) for each in said["asked"]])
    yield from ("## What was held", "", "| table | rows |", "| --- | ---: |")
    yield from (f"| {name} | {n} |" for name, n in sorted(said["rows"].items()))
    yield ""
    less = [f"{n} rows of {name} stay, without what they said of it" for name, n in said["redacted"].items()]
    yield from _section("What others' rows said", less)
    releases = [
        f"{_code(each['release'])}: {each['splits']} rows of its sides, {each['decisions']} exclusions; "
        + (f"followed by {_code(each['successor'])}" if each["successor"] else "without a successor")
        for each in said["releases"]
    ]
    yield from _section("Releases that held it", releases)
    yield from _section("Left to do", said["left_to_do"])
    titles = ("Files", "Files that others share", "Manifests that list nobody else")
    for title, name in zip(titles, LISTED, strict=True):
        more = said.get(f"more_{name}")
        yield from _section(title, [*map(_code, said[name]), *([f"and {more} more"] if more else [])])


def _section(title: str, lines: Sequence[str]) -> Iterator[str]:
    yield from (f"## {title}", "")
    yield from ([f"* {line}" for line in lines] or ["None."])
    yield ""


def _code(text: str) -> str:
    return "`" + text.replace("`", "'").replace("\n", " ") + "`"
