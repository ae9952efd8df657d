"""How long it takes to find what is unmeasured: 1,000,000 generated utterances, of which 1 % is new.

    make bench-planning
    make bench-planning ARGS='--utterances 100000'

Tables are generated, not ingested; no audio exists. Timed is the plan of one corpus for two extractors, from
reading the tables to the staged plan, twice: cold, and warm.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from _tables import generated

from speechlake.lake import Lake
from speechlake.ledger import new_run_id
from speechlake.session import spark_session
from speechlake.signals import Audio, Speech
from speechlake.signals.plan import totals, wanted_of
from speechlake.signals.run import staged_plan

FOLDER = Path("build/bench/planning").absolute()
UTTERANCES_PER_RECORDING = 4


def fill(lake: Lake, count: int, new: float) -> None:
    """Recordings, utterances, content hashes, and measurements of all utterances but the share `new`."""
    of = f"sha2(cast(id div {UTTERANCES_PER_RECORDING} as string), 256)"
    recording, key = f"substring({of}, 1, 32)", "concat('1000-', id)"
    utterance = "substring(sha2(concat('u', id), 256), 1, 32)"
    per_recording = {"recording_id": "substring(sha2(cast(id as string), 256), 1, 32)", "listing_key": key}
    tables = {
        "recordings": (
            count // UTTERANCES_PER_RECORDING,
            {**per_recording, "state": "'present'", "size_bytes": "320000"},
        ),
        "content_hashes": (
            count // UTTERANCES_PER_RECORDING,
            {**per_recording, "content_sha256": "sha2(concat('c', id), 256)"},
        ),
        "utterances": (
            count,
            {
                "utterance_id": utterance,
                "recording_id": recording,
                "start_ms": f"2000 * (id % {UTTERANCES_PER_RECORDING})",
                "end_ms": f"2000 * (id % {UTTERANCES_PER_RECORDING}) + 2000",
                "language": "'en'",
            },
        ),
    }
    with lake.hold("bench", "bench", new_run_id()) as hold:
        for name, (rows, said) in tables.items():
            frame = generated(lake, name, rows, {"corpus": "'bench'", **said})
            hold.append_missing(name, frame, fresh=True, expected=rows)
        content = f"sha2(concat('c', id div {UTTERANCES_PER_RECORDING}), 256)"
        for each in wanted_of([Audio(), Speech()]):
            filed = {
                "corpus": "'bench'",
                "utterance_id": utterance,
                "content_sha256": content,
                "fingerprint": f"'{each.fingerprint}'",
                "inputs_hash": "''",
            }
            rows = round(count * (1 - new))
            done = generated(lake, f"signals_{each.name}", rows, filed)
            hold.append_missing(f"signals_{each.name}", done, fresh=True, expected=rows)


def main(argv: Sequence[str] | None = None) -> int:
    """Generate, plan twice, print."""
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    made.add_argument("--utterances", type=int, default=1_000_000)
    made.add_argument("--new", type=float, default=0.01)
    parsed = made.parse_args(argv)
    shutil.rmtree(FOLDER, ignore_errors=True)
    lake = Lake(spark_session("bench"), FOLDER)
    fill(lake, parsed.utterances, parsed.new)
    for warmth in ("cold", "warm"):
        with lake.hold("extract-signals", "bench", new_run_id()) as hold:
            started = time.monotonic()
            plan = staged_plan(hold, wanted_of([Audio(), Speech()]))
            seconds = time.monotonic() - started
            found = totals(plan)["utterances"] if plan is not None else 0
        print(
            f"{parsed.utterances:,} utterances, {found:,} new: planned in {seconds:.1f} s, {warmth}",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
