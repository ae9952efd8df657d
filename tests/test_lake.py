"""Writing: stage, then commit; nothing lost, nothing doubled."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from pyspark.sql import functions as F

from speechlake.commits import commit_info
from speechlake.errors import Busy, Conflict, Overtaken, TableMismatch
from speechlake.hold import RETRIES, Hold
from speechlake.lake import Lake
from speechlake.locks import ERASURE, lock_file
from speechlake.schemas import CONTENT_HASHES, DUPLICATES, PROFILES, RECORDINGS, TRANSCRIPTS
from speechlake.signals.catalogue import numbered


def hashes(rows, *ids):
    return rows(
        CONTENT_HASHES, *[(i, {"corpus": "c", "listing_key": "1", "content_sha256": i * 2}) for i in ids]
    )


def keys(lake, table="content_hashes", column="recording_id"):
    return sorted(row[column] for row in lake.read(table).select(column).collect())


def test_a_table_that_was_never_written_reads_as_no_rows(lake):
    assert lake.version("utterances") is None
    assert lake.read("utterances").count() == 0


def test_appending_the_same_rows_again_writes_no_version(lake, rows):
    with lake.hold("job", "c", "r1") as hold:
        assert hold.append_missing("content_hashes", hashes(rows, "a", "b")) == 2
        version = lake.version("content_hashes")
        assert hold.append_missing("content_hashes", hashes(rows, "a", "b")) == 0
        assert lake.version("content_hashes") == version
        assert hold.append_missing("content_hashes", hashes(rows, "b", "c")) == 1
    assert keys(lake) == ["a", "b", "c"]


def test_rows_deleted_by_hand_come_back_with_the_same_append(lake, rows):
    from delta.tables import DeltaTable

    with lake.hold("job", "c", "r1") as hold:
        hold.append_missing("content_hashes", hashes(rows, "a", "b"), digest="same")
        DeltaTable.forPath(lake.spark, lake.path("content_hashes")).delete("recording_id = 'a'")
        assert hold.append_missing("content_hashes", hashes(rows, "a", "b"), digest="same") == 1
    assert keys(lake) == ["a", "b"]


def test_merge_updates_the_rows_of_its_corpus_only(lake, rows):
    def recordings(corpus, state):
        return rows(RECORDINGS, ("r", {"corpus": corpus, "state": state}))

    with lake.hold("job", "c", "r1") as hold:
        hold.append_missing("recordings", recordings("c", "present"))
        assert hold.merge("recordings", recordings("other", "missing"), corpus="other") == 0
        assert hold.merge("recordings", recordings("c", "missing"), corpus="c") == 1
    assert [row.state for row in lake.read("recordings").collect()] == ["missing"]


@pytest.mark.parametrize("left", [None, ".00000000000000000000.json.tmp"])
def test_a_table_whose_first_commit_was_killed_is_created_all_the_same(lake, rows, left):
    log = Path(lake.path("content_hashes"), "_delta_log")
    log.mkdir(parents=True)
    if left is not None:
        (log / left).write_text("half a com")
    with lake.hold("job", "c", "r1") as hold:
        assert hold.append_missing("content_hashes", hashes(rows, "a")) == 1
    assert keys(lake) == ["a"]


@pytest.mark.slow
def test_two_drivers_that_create_one_table_at_once_both_go_on(lake):
    errors = []

    def create(n, both):
        mine = Lake(lake.spark.newSession(), f"{lake.root}/{n}")
        mine.is_local = False  # as on an object store: no lock keeps the two apart
        both.wait(60)
        try:
            mine.create(CONTENT_HASHES)
        except Exception as error:
            errors.append(str(error))

    for n in range(5):
        both = threading.Barrier(2)
        threads = [threading.Thread(target=create, args=(n, both)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert Lake(lake.spark, f"{lake.root}/{n}").version("content_hashes") == 0
    assert errors == []


@pytest.mark.slow
def test_rows_that_two_sessions_number_at_once_in_a_new_table_get_a_number_each(lake):
    def write(who, errors):
        mine = Lake(lake.spark.newSession(), lake.root)
        mine.is_local = False  # as on an object store: no lock keeps the two apart
        try:
            with mine.hold("job", who, who) as hold:
                for n in range(3):
                    hold.insert_missing("profiles", lambda n=n: numbered(mine, [(f"{who}{n}", None, "f")]))
        except BaseException as error:
            errors.append(error)

    errors = []
    threads = [threading.Thread(target=write, args=(who, errors)) for who in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)
    assert [str(error) for error in errors] == []
    rows = lake.read("profiles").collect()
    assert sorted(row.n for row in rows) == [1, 2, 3, 4, 5, 6]
    assert {row.extractor for row in rows} == {"a0", "a1", "a2", "b0", "b1", "b2"}


def test_a_row_whose_key_another_took_is_asked_for_again_and_is_no_sign_of_being_overtaken(lake):
    lake.is_local = False  # as on an object store: a fence, and no lock
    asked = []

    def row(key):
        return {"n": key, "extractor": "x", "language": None, "fingerprint": "f"}

    def make():
        asked.append(1)
        return [row(1)] if len(asked) == 1 else [row(2)]

    with lake.hold("job", "a", "r1") as one, lake.hold("job", "b", "r2") as two:
        assert two.insert_missing("profiles", lambda: [row(1)]) == 1
        assert one.insert_missing("profiles", make) == 1
    assert len(asked) == 2
    assert keys(lake, "profiles", "n") == [1, 2]


def test_a_writer_that_always_comes_second_gives_up_and_does_not_sleep_before_it_says_so(
    lake, rows, monkeypatch
):
    from delta.exceptions import ConcurrentAppendException

    def beaten(*_):
        raise ConcurrentAppendException("another was quicker")

    slept = []
    with lake.hold("job", "c", "r1") as hold:
        monkeypatch.setattr("speechlake.hold.time", SimpleNamespace(sleep=slept.append))
        with pytest.raises(Conflict, match="8 times"):
            hold._commit("content_hashes", lambda: hashes(rows, "a"), beaten, "")
    assert len(slept) == RETRIES - 1


def test_rows_of_several_corpora_are_a_file_each_however_many_tasks_hold_them(lake, rows):
    found = rows(
        DUPLICATES, *((f"u{n}", {"corpus": "abc"[n % 3], "kind": "exact"}) for n in range(12))
    ).repartition(4)
    with lake.hold("job", "lake", "r1") as hold:
        hold.append_missing("duplicates", found)
    assert keys(lake, "duplicates", "utterance_id") == sorted(f"u{n}" for n in range(12))
    assert len(lake.read("duplicates").inputFiles()) == 3


def test_every_commit_says_which_run_and_stage_made_it(lake, rows):
    with lake.hold("job", "c", "r1") as hold:
        hold.append_missing("content_hashes", hashes(rows, "a"), digest="d1")
    note = json.loads(
        commit_info(lake.commit("content_hashes", lake.version("content_hashes")))["userMetadata"]
    )
    assert note == {"job": "job", "scope": "c", "run_id": "r1", "stage": "d1", "table": "content_hashes"}


def test_a_second_holder_of_the_same_scope_is_told_who_the_first_is(lake):
    with (
        lake.hold("job", "c", "r1"),
        pytest.raises(Busy, match="run r1 of job on c"),
        lake.hold("job", "c", "r2"),
    ):
        pass
    with lake.hold("job", "c", "r3"), lake.hold("job", "other", "r4"):
        pass


def test_nobody_begins_in_a_scope_of_their_own_while_another_process_erases(lake):
    path = lock_file(lake.root, ERASURE)
    path.parent.mkdir(parents=True)
    path.write_text('{"who": "run e of erase-speakers on lake"}')
    program = (
        "import fcntl, sys; f = open(sys.argv[1], 'r+'); fcntl.lockf(f, fcntl.LOCK_EX); print(); input()"
    )
    erasing = subprocess.Popen([sys.executable, "-c", program, path], stdin=-1, stdout=-1, text=True)
    assert erasing.stdout.readline() == "\n"
    with pytest.raises(Busy, match="run e of erase-speakers"), lake.hold("job", "new", "r1"):
        pass
    erasing.communicate("\n")
    # Its own process builds successors and takes everyone's locks meanwhile.
    with lake.hold("erase-speakers", "lake", "e"), lake.hold("job", "new", "r1"):
        pass


def test_a_complete_stage_is_adopted_and_an_incomplete_one_deleted(lake, rows):
    with lake.hold("job", "c", "r1") as hold:
        hold.staging.write("d1", "r1", hashes(rows, "a"), {"say": "hello"})
        broken = hold.staging.write("d2", "r1", hashes(rows, "b"), {})
        (Path(broken.path) / "_SUCCESS").unlink()
        # What a kill leaves of the first write.
        Path(f"{broken.path}.json").write_text("", encoding="utf-8")
    notes = []
    with lake.hold("job", "c", "r2") as hold:

        def commit(stage):
            notes.append(dict(stage.note))
            hold.append_missing("content_hashes", hold.staging.read(stage))

        assert hold.adopt(commit) == 1
        assert hold.adopt(commit) == 0
    assert notes == [{"say": "hello"}]
    assert keys(lake) == ["a"]
    assert not Path(broken.path).exists()


@pytest.mark.parametrize(("job", "adopted"), [("job", 0), ("erase-speakers", 1)])
def test_a_stage_of_another_version_is_not_adopted_unless_it_must_be_finished(
    lake, rows, monkeypatch, job, adopted
):
    # As a stage that was written before its table got a column.
    frame = hashes(rows, "a").drop("content_sha256")
    with monkeypatch.context() as before, lake.hold(job, "c", "r1") as hold:
        before.setattr("speechlake.staging.VERSION", "0.0.9, contract 1")
        stage = hold.staging.write("d", "r1", frame, {})
    with lake.hold(job, "c", "r2") as hold:
        assert hold.adopt(lambda stage: hold.staging.read(stage).count()) == adopted
    assert not Path(stage.path).exists()


def test_a_kill_while_a_stage_is_deleted_leaves_nothing_that_the_next_run_adopts(lake, rows, monkeypatch):
    from speechlake.files import Files

    deleted = Files.delete

    def cut_short(files, uri):
        """A recursive deletion of a folder that ends after its data and before its marker."""
        if not Path(uri).is_dir():
            return deleted(files, uri)
        for part in Path(uri).glob("*.parquet"):
            part.unlink()
        raise KeyboardInterrupt

    with lake.hold("job", "c", "r1") as hold:
        stage = hold.staging.write("d1", "r1", hashes(rows, "a"), {})
        monkeypatch.setattr(Files, "delete", cut_short)
        with pytest.raises(KeyboardInterrupt):
            hold.staging.delete(stage)
        monkeypatch.undo()
    with lake.hold("job", "c", "r2") as hold:
        assert hold.adopt(lambda stage: hold.staging.read(stage).count()) == 0
    assert not Path(stage.path).exists()


def test_a_kill_between_two_tables_commits_loses_and_doubles_nothing(lake, rows):
    def commit(hold, stage, die_after=None):
        frame = hold.staging.read(stage)
        hold.append_missing("content_hashes", frame)
        if die_after == "content_hashes":
            raise KeyboardInterrupt
        recordings = rows(RECORDINGS, ("a", {"corpus": "c", "state": "present"}))
        hold.append_missing("recordings", recordings)

    with pytest.raises(KeyboardInterrupt), lake.hold("job", "c", "r1") as hold:
        commit(hold, hold.staging.write("d", "r1", hashes(rows, "a"), {}), die_after="content_hashes")
    with lake.hold("job", "c", "r2") as hold:
        assert hold.adopt(lambda stage: commit(hold, stage)) == 1
    assert keys(lake) == ["a"]
    assert keys(lake, "recordings") == ["a"]


def test_a_fenced_writer_that_was_overtaken_writes_nothing_and_says_so(lake, rows):
    slow = Hold(lake, "job", "c", "slow", wait_s=0, fenced=True)
    slow.fence.counters = {"content_hashes": 0}
    quick = Hold(lake, "job", "c", "quick", wait_s=0, fenced=True)
    with quick:
        quick.append_missing("content_hashes", hashes(rows, "a"))
    with pytest.raises(Overtaken, match="slow"):
        slow.append_missing("content_hashes", hashes(rows, "b"))
    assert keys(lake) == ["a"]
    with Hold(lake, "job", "c", "next", wait_s=0, fenced=True) as hold:
        assert hold.append_missing("content_hashes", hashes(rows, "b")) == 1
        assert hold.append_missing("content_hashes", hashes(rows, "c")) == 1


@pytest.fixture
def unlocked(lake):
    """A lake as on an object store: a fence, and no lock."""
    lake.is_local = False
    return lake


def test_without_a_lock_a_stage_that_another_driver_may_be_writing_is_left_alone_for_a_week(unlocked, rows):
    with unlocked.hold("job", "c", "r1") as hold:
        for digest in ("young", "old"):
            stage = hold.staging.write(digest, "r1", hashes(rows, digest), {})
            (Path(stage.path) / "_SUCCESS").unlink()
    os.utime(f"{stage.path}.json", (0, 0))
    with unlocked.hold("job", "c", "r2") as hold:
        assert hold.adopt(lambda stage: None) == 0
    assert not Path(stage.path).exists()
    assert Path(stage.path.replace("/old/", "/young/")).exists()


def test_a_writer_whose_stage_another_driver_deletes_meanwhile_is_overtaken(unlocked, rows):
    note = f"{unlocked.root}/_staging/job/c/d/r1.json"

    def delete_note(batches):
        Path(note).unlink(missing_ok=True)
        yield from batches

    frame = hashes(rows, "a")
    with pytest.raises(Overtaken, match="another driver"), unlocked.hold("job", "c", "r1") as hold:
        hold.staging.write("d", "r1", frame.mapInPandas(delete_note, frame.schema), {})


def test_a_reader_never_takes_what_is_left_of_a_stage_for_all_of_it(unlocked, rows):
    with unlocked.hold("job", "c", "r1") as hold:
        stage = hold.staging.write("d", "r1", hashes(rows, "a"), {})
        Path(f"{stage.path}.json").unlink()  # where a deletion begins
        with pytest.raises(Overtaken, match="another driver"):
            hold.staging.read(stage)


def test_what_fails_because_another_driver_went_on_is_told_as_being_overtaken(unlocked, rows):
    def read_too_late():
        with unlocked.hold("job", "c", "quick") as quick:
            quick.append_missing("content_hashes", hashes(rows, "a"))
        raise OSError("a staged file is gone")

    with pytest.raises(Overtaken, match="another driver"), unlocked.hold("job", "c", "slow"):
        read_too_late()


def test_scratch_of_another_run_stays_where_no_lock_says_that_it_is_dead(unlocked, rows):
    with unlocked.hold("job", "c", "r1") as hold:
        for run_id in ("r1", "r2", "r3"):
            hashes(rows, "a").write.parquet(hold.staging.scratch("plan", run_id))
        for file in Path(hold.staging.scratch("plan", "r3")).iterdir():
            os.utime(file, (0, 0))
        hold.staging.drop_scratch("plan", "r1")
        left = Path(hold.staging.scratch("plan", "r1")).parent
    assert [path.name for path in left.iterdir()] == ["r2"]
    unlocked.is_local = True
    with unlocked.hold("job", "c", "r4") as hold:
        hold.staging.drop_scratch("plan", "r4")
    assert not left.exists()


def test_texts_never_reach_the_delta_log(lake, rows):
    secret = "what nobody may read in a log"
    with lake.hold("job", "c", "r1") as hold:
        hold.append_missing("transcripts", rows(TRANSCRIPTS, ("a", {"text": secret, "kind": "human"})))
        changed = rows(
            TRANSCRIPTS, ("a", {"corpus": "x", "text": secret, "kind": "human", "retired_in": "m#2"})
        )
        assert hold.merge("transcripts", changed, corpus="x") == 1
    log = b"".join(
        f.read_bytes() for f in Path(lake.path("transcripts"), "_delta_log").rglob("*") if f.is_file()
    )
    assert b"run_id" in log
    assert secret.encode() not in log


def test_few_rows_are_read_once_in_each_version(lake, rows, monkeypatch):
    assert lake.few("profiles") == []
    reads: list[str] = []
    read = Lake.read
    monkeypatch.setattr(Lake, "read", lambda self, name: (reads.append(name), read(self, name))[1])
    for n in (1, 2):
        with lake.hold("fill", "lake", f"r{n}") as hold:
            hold.append_missing(
                "profiles", rows(PROFILES, (n, {"extractor": "audio"})), fresh=True, expected=1
            )
        reads.clear()
        assert [sorted(row.n for row in lake.few("profiles")) for _ in range(2)] == [[*range(1, n + 1)]] * 2
        assert reads == ["profiles"]


def test_an_old_version_can_be_read(lake, rows):
    with lake.hold("job", "c", "r1") as hold:
        hold.append_missing("content_hashes", hashes(rows, "a"))
        old = lake.version("content_hashes")
        hold.append_missing("content_hashes", hashes(rows, "b"))
    assert lake.read("content_hashes", version=old).count() == 1
    assert lake.history("content_hashes").count() >= 2


def test_a_table_with_other_columns_is_refused_by_name(lake):
    lake.spark.range(1).write.format("delta").save(lake.path("utterances"))
    with pytest.raises(TableMismatch, match=r"'utterances' in .*utterance_id"):
        Lake(lake.spark, lake.root).read("utterances")


def test_a_frame_that_misses_a_column_is_refused_before_writing(lake, rows):
    with (
        lake.hold("job", "c", "r1") as hold,
        pytest.raises(TableMismatch, match="'content_sha256' is missing"),
    ):
        hold.append_missing("content_hashes", hashes(rows, "a").drop("content_sha256"))
    assert lake.version("content_hashes") is None


def test_a_null_where_the_contract_forbids_it_never_lands(lake, rows):
    with lake.hold("job", "c", "r1") as hold, pytest.raises(Exception, match=r"NULL|null"):
        hold.append_missing(
            "content_hashes", hashes(rows, "a").withColumn("content_sha256", F.lit(None).cast("string"))
        )
    assert lake.read("content_hashes").count() == 0
