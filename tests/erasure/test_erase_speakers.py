"""One story: somebody is erased, and nothing of her is left in the lake; everyone else stays as they were."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from erasure_story import TEXT, WHO, filled, needles, of_others, released, request, take, write_others
from erasure_traces import traces
from lake_tools import QUIET, Played, says

from speechlake.commands import erase_speakers, find_duplicates, verify_release
from speechlake.errors import Busy, UsageError
from speechlake.lake import Lake
from speechlake.terminal import console

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.ci]

# Rows that an erasure changes or writes, or that are about runs.
OWN = {"runs", "chunks", "tombstones", "erasures", "releases", "assignments", "splits", "decisions"}


@pytest.fixture(scope="module")
def played(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Played:
    folder = tmp_path_factory.mktemp("story")
    story = Played()
    story.steps = _story(story, Lake(spark, folder / "lake"), folder)
    return story


def _story(story: Played, lake: Lake, folder: Path) -> Iterator[object]:
    filled(lake, folder / "audio")
    released(lake, duplicates=True)
    left = Path(lake.root) / "_staging" / "extract-signals" / "talks" / "d" / "r"
    left.mkdir(parents=True)
    (left / "part.txt").write_text(WHO)
    story["lake"], story["folder"], story["needles"] = lake, folder, needles(lake)
    story["traces before"] = traces(lake.root, story["needles"])
    story["others before"] = dict(of_others(lake))
    story["sides before"] = sides(lake, "r1")
    story["plan"] = erase(lake, folder, plan=True)
    story["planned report"] = json.loads((folder / "report.json").read_text())
    yield "before"
    story["erased"] = erase(lake, folder)
    story["traces after"] = traces(lake.root, story["needles"])
    story["others after"] = dict(of_others(lake))
    story["report"] = json.loads((folder / "report.json").read_text())
    story["report text"] = (folder / "report.md").read_text()
    out = io.StringIO()
    story["verified"] = verify_release.run(lake, "r1", sample=0, out=console(out)), out.getvalue()
    story["sides after"] = sides(lake, "r1.e1")
    yield "erased"
    before = lake.versions()
    story["again"] = erase(lake, folder), lake.versions() == before
    yield "again"
    story["taken again"] = take(lake, folder / "audio")
    write_others(
        folder / "audio" / "talks" / "others.jsonl", says("emil.wav", "more", speaker=WHO, offset=0.2)
    )
    story["taken changed"] = take(lake, folder / "audio")
    story["duplicates"] = find_duplicates.run(lake, progress=QUIET)
    story["traces at the end"] = traces(lake.root, story["needles"])
    yield "taken"


def erase(lake: Lake, folder: Path, **said: Any) -> Any:
    return erase_speakers.run(lake, request(), report=folder / "report.md", progress=QUIET, **said)


def sides(lake: Lake, release: str) -> dict[str, str]:
    found = lake.read("splits").join(lake.read("releases").where(f"release = '{release}'"), on="build_id")
    return {row.utterance_id: row.split for row in found.select("utterance_id", "split").collect()}


def test_the_search_finds_all_of_her_before(played: Played) -> None:
    played["erased"]
    before = played["traces before"]
    assert set(before) == set(played["needles"])
    where = {name.split("/")[0] for files in before.values() for name in files}
    assert {"utterances", "transcripts", "recordings", "quarantine", "signals_audio", "splits"} <= where
    assert any("_delta_log" in name for files in before.values() for name in files)


def test_a_plan_counts_what_would_go_and_erases_nothing(played: Played) -> None:
    assert played["plan"].outcome == "planned"
    assert played["plan"].counts["utterances"] == 5
    assert played["planned report"]["state"] == "planned"


def test_nothing_of_her_is_left_in_any_file_of_the_lake(played: Played) -> None:
    assert played["erased"].outcome == "done"
    assert played["traces after"] == {}


def test_everyone_elses_rows_are_what_they_were(played: Played) -> None:
    played["erased"]
    before, after = (
        {k: v for k, v in played[f"others {t}"].items() if k not in OWN} for t in ("before", "after")
    )
    assert after == before


def test_the_release_gets_a_successor_in_which_everyone_else_is_on_the_same_side(played: Played) -> None:
    played["erased"]
    gone, after = set(played["needles"]), played["sides after"]
    others = {u: side for u, side in played["sides before"].items() if u not in gone}
    assert {u: after.get(u) for u in others} == others
    assert set(others.values()) == {"train", "test"}
    assert not gone & set(after)


def test_verify_release_says_that_rows_were_erased_and_does_not_cry_wolf(played: Played) -> None:
    played["erased"]
    report, said = played["verified"]
    assert report.refusal is None
    assert "were erased on" in said
    assert "r1.e1 follows it" in said


def test_the_report_tells_what_was_held_and_what_is_left_to_do(played: Played) -> None:
    played["erased"]
    told = played["report"]
    assert told["state"] == "done"
    assert told["rows"]["utterances"] == told["rows"]["transcripts"] == 5
    assert {Path(place).name for place in told["files"]} == {
        *(f"{WHO}-{n}.wav" for n in range(3)),
        "more-0.wav",
    }
    assert [Path(place).name for place in told["shared_files"]] == ["panel.wav"]
    assert told["manifests"] == [f"talks audio:{WHO}.jsonl"]
    assert [(each["release"], each["successor"]) for each in told["releases"]] == [("r1", "r1.e1")]
    assert "1 recordings stay because others speak in them" in played["report text"]


def test_the_same_request_again_does_nothing(played: Played) -> None:
    report, unchanged = played["again"]
    assert report.outcome == "nothing to do"
    assert unchanged


def test_ingest_leaves_out_what_was_erased_and_counts_it(played: Played) -> None:
    talks, _ = played["taken changed"]
    assert talks.counts["manifests_erased"] == 1
    # Her turn, said twice, and a new line that names her; what cannot be parsed is nobody's.
    assert talks.counts["lines_erased"] == 3
    assert talks.counts["quarantined"] == 4
    kept = played["lake"].read("quarantine").where("raw_line IS NOT NULL OR detail IS NOT NULL")
    assert kept.count() == 0
    assert played["traces at the end"] == {}


def test_who_is_left_alone_is_no_copy_any_more(played: Played) -> None:
    assert played["duplicates"].outcome == "done"
    assert played["lake"].read("duplicates").count() == 0


def test_a_request_for_nobody_is_refused_and_a_report_does_not_lie_in_the_lake(played: Played) -> None:
    played["again"]
    lake = played["lake"]
    with pytest.raises(UsageError, match="does not hold: speaker talks:nobody"):
        erase_speakers.run(lake, request(erase=[{"speaker": "nobody", "corpus": "talks"}]), progress=QUIET)
    with pytest.raises(UsageError, match="lies in the lake"):
        erase_speakers.run(lake, request(), report=Path(lake.root) / "r.md", progress=QUIET)


def test_it_does_not_begin_while_another_job_works(played: Played) -> None:
    lake = played["lake"]
    with lake.hold("extract-signals", "talks", "r9"), pytest.raises(Busy):
        erase_speakers.run(lake, request(erase=[{"corpus": "more"}]), progress=QUIET)
    assert TEXT
