"""`speechlake JOB …`: the same that `spark-submit jobs/<job>.py …` runs."""

from __future__ import annotations

import importlib.util
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from speechlake import __version__

# In the order of the flow, then the questions. One file per job, named like it but for `OTHER_FILES`.
JOBS: dict[str, str] = {
    "pipeline": "all jobs over the corpora of a file, in one Spark session",
    "ingest-manifests": "manifests -> recordings, utterances, transcripts, quarantine",
    "segment-recordings": "long recordings without intervals -> utterances, cut at pauses",
    "extract-signals": "utterances -> measurements: decoded audio, speech, Whisper's text",
    "calibrate": "may a Whisper model hear short clips in short, faster windows",
    "import-signals": "values and texts from elsewhere -> signals and transcripts",
    "score-transcripts": "texts against Whisper's: error rates",
    "find-duplicates": "clusters of utterances with the same audio",
    "simulate": "what a policy, or another, would keep; writes nothing",
    "build-splits": "a policy -> a published release of train, dev and test",
    "diff-releases": "two releases: what was added, removed, moved, and why",
    "verify-release": "rows, sides and files of a release against what was published",
    "compare-models": "two models over the same utterances: errors, languages, hours, regressions",
    "erase-speakers": "speakers, recordings, utterances or corpora out of every table, file and log",
    "profile": "which model's measurements are current, per language if need be",
    "review": "a page with a sample to listen to, for judging a rule of a policy",
    "maintain-tables": "compacts tables, sweeps what dead runs and unpublished builds left, deletes unused files",
    "upgrade-lake": "brings an older lake to this version's contracts",
    "report": "what a lake and a release hold, on the terminal or as a page",
    "explain": "the way of one utterance through all tables",
    "sql": "a query over tables and views",
    "status": "per corpus: what is ingested, measured, stale, failed, and what it cost",
    "register": "catalog tables and views over a lake, for those who bring their own SQL",
    "doctor": "is this machine, and a lake, in order, and what is to be mended",
    "repair-table": "lets a table forget files that are not there any more",
}

# Under spark-submit the folder of a job comes first on the path: a file `profile.py` there would hide the
# module of the standard library, which PySpark imports.
OTHER_FILES: dict[str, str] = {"profile": "profiles"}


def file_of(job: str) -> str:
    """The name of a job's file in jobs/, and of its module in speechlake.commands, without its suffix."""
    return OTHER_FILES.get(job, job.replace("-", "_"))


def main(argv: Sequence[str] | None = None) -> int:
    """Run a job; its exit code. Without a job, or with --help, list them."""
    said = list(sys.argv[1:] if argv is None else argv)
    if not said or said[0] in ("-h", "--help", "help"):
        print(usage())
        return 0
    if said[0] == "--version":
        print(f"speechlake {__version__}")
        return 0
    if said[0] not in JOBS:
        from speechlake.config import nearest  # heavy, and only this needs it

        close = nearest(said[0], JOBS)
        hint = f"; did you mean {close!r}?" if close else ""
        print(f"there is no job {said[0]!r}{hint}\n\n{usage()}", file=sys.stderr)
        return 2
    if importlib.util.find_spec("pyspark") is None:
        needs = f"{said[0]} needs Spark and the models that jobs run"
        print(f"{needs}: pip install 'speechlake[jobs]' (see docs/install.md)", file=sys.stderr)
        return 2
    module = importlib.import_module(f"speechlake.commands.{file_of(said[0])}")
    return int(module.main(said[1:]))


def command(*words: str) -> str:
    """A call of a job as it can be pasted into a shell that is where this process is."""
    return shlex.join([_program(), *words])


def spelled(step: str | None) -> str | None:
    """A next step that begins with `speechlake`, as it can be pasted; any other as it is."""
    first, _, rest = (step or "").partition(" ")
    return f"{command()} {rest}" if first == "speechlake" else step


def _program() -> str:
    """`speechlake` where a shell finds it, else its place beside this Python."""
    here = Path(sys.executable).with_name("speechlake")
    if shutil.which("speechlake") or not here.exists():
        return "speechlake"
    return str(here.relative_to(Path.cwd()) if here.is_relative_to(Path.cwd()) else here)


def usage() -> str:
    """The list of jobs."""
    width = max(map(len, JOBS))
    lines = [f"  {name:{width}}  {what}" for name, what in JOBS.items()]
    return "\n".join(
        [
            "usage: speechlake JOB [arguments]",
            "",
            *lines,
            "",
            "speechlake JOB --help shows the arguments of a job.",
        ]
    )
