"""The ways that are compared, each run in a process of its own: ours, and what one would write without us.

    python benchmarks/_ways.py WAY JOB.json

`JOB.json` says model, device, clips, cores and the size of a chunk; seconds, CPU seconds and texts come back in the file it names.
"""

from __future__ import annotations

import json
import os
import queue
import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import _udf_model
from _udf_model import opened

from speechlake.signals.cpu_time import cpu_seconds

# How long the slowest process of the engine may take until it is warm.
START_S = 600.0
LOOK_EVERY_S = 5.0

QUIET_OPTIONS = {
    "beam_size": 1,
    "temperature": 0.0,
    "condition_on_previous_text": False,
    "without_timestamps": True,
}


def transcribed(model: Any, path: str, language: str) -> str:
    """A clip by the direct call, greedy, as cheap as it gets."""
    segments, _ = model.transcribe(path, language=language, **QUIET_OPTIONS)
    return "".join(segment.text for segment in segments).strip()


def loop(job: dict[str, Any]) -> dict[str, Any]:
    """(b) A plain Python loop over `transcribe`, with all cores for each clip."""
    model = opened(job["folder"], job["device"], job["cores"])
    transcribed(model, *job["clips"][0])
    started, used = time.monotonic(), cpu_seconds()
    texts = [transcribed(model, path, language) for path, language in job["clips"]]
    return {"seconds": time.monotonic() - started, "cpu_s": cpu_seconds() - used, "texts": texts}


def udf(job: dict[str, Any]) -> dict[str, Any]:
    """(a) A pandas UDF that calls `transcribe` per clip, a single-threaded model per worker, from table to table."""
    import pandas as pd
    from pyspark.sql import functions as F

    from speechlake.session import spark_session

    spark = spark_session("bench", master=f"local[{job['cores']}]")
    spark.sparkContext.addPyFile(_udf_model.__file__)
    model_of = job["folder"], job["device"]
    folder = Path(job["folder_of_tables"]) / "udf"

    def heard(batches: Iterator[Any]) -> Iterator[Any]:
        from _udf_model import kept

        model = kept(*model_of)
        for paths, languages in batches:
            yield pd.Series([transcribed(model, *pair) for pair in zip(paths, languages, strict=True)])

    heard_udf = F.pandas_udf(heard, "string", F.PandasUDFType.SCALAR_ITER)  # type: ignore[call-overload]
    rows = [(i, *clip) for i, clip in enumerate(job["clips"])]
    frame = spark.createDataFrame(rows, "i int, path string, language string")
    frame.write.format("delta").mode("overwrite").save(f"{folder}/clips")
    table = spark.read.format("delta").load(f"{folder}/clips").repartition(job["cores"] * 6)

    def run(source: Any, name: str) -> None:
        done = source.withColumn("text", heard_udf("path", "language"))
        done.write.format("delta").mode("overwrite").save(f"{folder}/{name}")

    run(table.where(f"i < {job['cores'] * 2}"), "warm")
    started = time.monotonic()
    run(table, "texts")
    seconds = time.monotonic() - started
    found = spark.read.format("delta").load(f"{folder}/texts").orderBy("i").collect()
    spark.stop()
    return {"seconds": seconds, "cpu_s": None, "texts": [row.text for row in found]}


def ours(job: dict[str, Any]) -> dict[str, Any]:
    """speechlake, from table to table, in a session whose workers are warm."""
    from speechlake.commands import extract_signals, ingest_manifests
    from speechlake.corpora import make_corpus
    from speechlake.lake import Lake
    from speechlake.progress import Progress
    from speechlake.session import spark_session
    from speechlake.signals import run as extraction

    extraction.CHUNK_SECONDS = job["chunk_s"]
    quiet = Progress(quiet=True)
    spark = spark_session("bench", master=f"local[{job['cores']},4]")
    lake = Lake(spark, job["lake"])
    for name, (manifest, roots) in job["manifests"].items():
        corpus = make_corpus(name=name, sources=(manifest,), roots=roots)
        ingest_manifests.run(lake, corpus, progress=quiet)
    wanted = _wanted(job)
    extract_signals.run(lake, wanted, corpus="warm", progress=quiet)
    started = time.monotonic()
    extract_signals.run(lake, wanted, corpus="clips", progress=quiet)
    seconds = time.monotonic() - started
    texts = _texts(lake, job["manifests"]["clips"][1])
    runs = lake.read("runs").where("job = 'extract-signals' AND scope = 'clips'")
    totals = runs.selectExpr("sum(cpu_s) cpu_s", "sum(device_s) device_s").collect()[0]
    spark.stop()
    ordered = [texts[path] for path, _ in job["clips"]]
    return {"seconds": seconds, "cpu_s": totals.cpu_s, "device_s": totals.device_s, "texts": ordered}


def engine(job: dict[str, Any]) -> dict[str, Any]:
    """(c) Our engine without Spark: a process per core (one on an accelerator), each with its share of the rows."""
    import multiprocessing

    count = 1 if job["device"] == "cuda" else job["cores"]
    order = sorted(range(len(job["clips"])), key=lambda i: Path(job["clips"][i][0]).name)
    shares = [order[n::count] for n in range(count)]
    context = multiprocessing.get_context("spawn")
    ready, go = context.Barrier(count + 1), context.Barrier(count + 1)
    back = context.Queue()
    # Ended with this process, so that one that fails is not waited for.
    processes = [
        context.Process(target=_share, args=(job, share, ready, go, back), daemon=True) for share in shares
    ]
    for process in processes:
        process.start()
    ready.wait(START_S)
    started = time.monotonic()
    go.wait(START_S)
    found = [_given(back, processes) for _ in processes]
    seconds = time.monotonic() - started
    for process in processes:
        process.join()
    texts = {i: text for share, _, _ in found for i, text in share}
    return {
        "seconds": seconds,
        "cpu_s": sum(used for _, used, _ in found),
        "peak_mb": max(peak for _, _, peak in found),
        "texts": [texts[i] for i in range(len(order))],
    }


def _given(back: Any, processes: Sequence[Any]) -> Any:
    """What one of `processes` gives back; SystemExit where one ended without."""
    while True:
        try:
            return back.get(timeout=LOOK_EVERY_S)
        except queue.Empty:
            if any(process.exitcode for process in processes):
                raise SystemExit("a process of the engine failed") from None


def _share(job: dict[str, Any], share: list[int], ready: Any, go: Any, back: Any) -> None:
    from speechlake.audio.storage import stat_audio
    from speechlake.signals.engine import Task
    from speechlake.signals.reading import read_ahead

    wanted = _wanted(job)

    def row(i: int) -> dict[str, Any]:
        path, language = job["clips"][i]
        size, key = stat_audio("/", path.lstrip("/"))
        utterance = {
            "utterance_id": str(i),
            "start_ms": 0,
            "end_ms": None,
            "channel": "mix",
            "needs": [each.fingerprint for each in wanted],
            "inputs": {"language": language},
            "inputs_hashes": {each.name: "" for each in wanted},
        }
        place = {
            "root": "audio",
            "path": path.lstrip("/"),
            "container": None,
            "byte_offset": None,
            "byte_length": None,
        }
        known = {
            "recording_id": str(i),
            "listing_key": key,
            "content_sha256": f"listing:{key}",
            "seconds": 4.0,
        }
        return place | known | {"utterances": [utterance], "size_bytes": size}

    def measured(numbers: list[int]) -> list[tuple[int, str]]:
        task = Task(wanted)
        read = read_ahead(iter([row(i) for i in numbers]), {"audio": "/"})
        found = [one for rows in task.rows(read) for one in rows]
        task.close()
        return [(int(one["utterance_id"]), one[wanted[0].column]["text"]) for one in found]

    measured(share[:2])
    ready.wait(START_S)
    go.wait(START_S)
    used = cpu_seconds()
    found = measured(share)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    back.put((found, cpu_seconds() - used, peak_mb))


def _wanted(job: dict[str, Any]) -> list[Any]:
    from speechlake.signals.choice import resources
    from speechlake.signals.plan import wanted_of
    from speechlake.signals.whisper import Whisper

    return wanted_of(
        [Whisper(model=job["model"], windows=job["windows"], **resources(job["device"], None, None))]
    )


def _texts(lake: Any, roots: dict[str, str]) -> dict[str, str]:
    """{path of the file: text}."""
    from speechlake.views import located_utterances

    located = located_utterances(lake).where("corpus = 'clips'").select("utterance_id", "root", "path")
    heard = lake.read("signals_whisper").select("utterance_id", "text")
    rows = located.join(heard, on="utterance_id", how="inner").collect()
    return {f"{roots[row.root]}/{row.path}": row.text for row in rows}


WAYS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "ours": ours,
    "udf": udf,
    "loop": loop,
    "engine": engine,
}


if __name__ == "__main__":
    # One thread per task; the loop takes its threads by argument.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    asked = json.loads(Path(sys.argv[2]).read_text())
    Path(asked["result"]).write_text(json.dumps(WAYS[sys.argv[1]](asked)))
