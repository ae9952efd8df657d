"""One run of `speechlake_corpus` with a real Spark, over two corpora of which one is broken."""

from __future__ import annotations

import pytest
from real_corpora import CLIPS, lay_out, tables

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("real")


@pytest.fixture(scope="module")
def run(folder, run_dag):
    """The run, made once for all tests below."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_VAR_SPEECHLAKE_CORPORA", str(lay_out(folder)))
        patch.setenv("AIRFLOW_VAR_SPEECHLAKE_LAKE", str(folder / "lake"))
        return run_dag("speechlake_corpus", {"model": "whisper-tiny.en", "device": "cpu"})


def test_the_broken_corpus_fails_alone(run):
    assert run.state == "failed"
    assert {task for task, state in run.states.items() if state == "failed"} == {
        "corpus.ingest[0]",
        "outcome",
    }
    assert run.states["corpus.score[1]"] == run.states["find_duplicates"] == "success"
    assert run.states["build_splits"] == "upstream_failed"


def test_what_failed_and_why_is_in_its_own_words(run):
    refusal = run.results["corpus.ingest[0].refusal"]
    assert refusal.startswith("ingest-manifests ended with 3, a gate refused: TooManyRejected:")
    assert f"{CLIPS - 1} of {CLIPS}" in refusal


def test_the_result_of_each_job_is_its_tasks_xcom(run):
    ingested = run.results["corpus.ingest[1].return_value"]
    assert (ingested["job"], ingested["outcome"]) == ("ingest-manifests", "done")
    assert ingested["counts"]["utterances"] == CLIPS


def test_the_tables_hold_the_good_corpus_measured_and_scored_and_the_bad_ones_lines_in_quarantine(
    run, folder
):
    found = tables(folder / "lake", "corpus", "reason", "text", "error", "wer", "release")

    def corpora(table):
        return [row["corpus"] for row in found[table]]

    assert corpora("utterances") == corpora("transcripts") == ["prompts"] * CLIPS
    assert corpora("quarantine") == ["broken"] * (CLIPS - 1)
    assert {row["reason"] for row in found["quarantine"]} == {"BAD_JSON"}
    for table in ("signals_audio", "signals_speech", "signals_audio_keys", "signals_whisper", "scores"):
        assert corpora(table) == ["prompts"] * CLIPS, table
    heard = found["signals_whisper"]
    assert [row for row in heard if row["error"]] == []
    assert all(row["text"] for row in heard)
    # The prompts are spoken clearly: a lake that heard something else would not hold these texts.
    assert sum(row["wer"] for row in found["scores"]) / CLIPS < 0.5
    assert "releases" not in found
