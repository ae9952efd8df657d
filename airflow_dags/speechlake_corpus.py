"""Every night: all corpora of `corpora.yaml`, from their manifests to a release.

Each corpus goes its own way: `ingest`, `segment` (where the file asks for it), `extract_cpu`, `extract_gpu`,
`score`. Then the whole lake: `find_duplicates`, `build_splits`. A corpus that fails is left behind; the others go
on, but no release is cut without it, since a release never changes. `outcome` names it and why, and fails the run.

**By hand**: *Trigger*, with the names of some corpora, another policy, a name for the release, or `build` off to
measure only. Any run may be started at any time: what is done is not done again.

**When it fails**, read `outcome` first, then the log of the task that it names; the last lines are the job's own.

| it says | do |
| --- | --- |
| ended with 2 | mend the file or argument that is named, then *Clear* the task; in `corpora.yaml`: see below |
| ended with 3 in `ingest` | too many lines were refused: `speechlake sql` over `quarantine` shows them; mend the manifest and *Clear*, or raise `max_reject` in `corpora.yaml` |
| ended with 3 in `build_splits` | the gate or a limit of the policy refused: nothing was published; see docs/policies.md |
| ended with 4 | another run holds the corpus: `speechlake doctor` shows it; retries follow by themselves |
| ended with 5, or a signal | storage, memory, a kill: retries follow; after the last, *Clear* the task once the cause is gone |

*Clear* with *downstream* runs the rest too. Nothing has to be cleaned up before. All tasks of a run go by what
`corpora` read at its start: after a change of `corpora.yaml`, *Clear* `corpora` with *downstream*, or trigger a new run.

**Needs**: Variables `speechlake_lake`, `speechlake_corpora`, `speechlake_policy`; connection `speechlake_spark`;
pools `spark_driver`, `gpu`. Announces assets `speechlake_measured` and `speechlake_released`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.python import ExternalPythonOperator
from airflow.sdk import DAG, Param, TriggerRule, chain, task, task_group
from airflow.sdk.exceptions import AirflowFailException
from speechlake_airflow.common import (
    CORPORA,
    LAKE,
    MEASURED,
    NAME,
    POLICY,
    RELEASE,
    RELEASED,
    WAIT,
    common,
    policy_params,
)
from speechlake_airflow.corpora import corpora_of
from speechlake_airflow.installation import Installation
from speechlake_airflow.outcome import failures, sentence
from speechlake_airflow.submit import GPUS, submit

# What policies and releases need, by the machine that measures it; tests hold it against the library's own list.
ON_CPUS = ("audio", "speech", "audio_keys")
ON_GPUS = ("whisper",)

PARAMS = {
    "corpora": Param(
        [],
        type="array",
        items={"type": "string", "pattern": NAME},
        uniqueItems=True,
        description="Names of corpora of corpora.yaml; none means all.",
    ),
    "model": Param(
        None,
        type=["null", "string"],
        description="Whisper model: registry id, hub id or folder; none means the profile's.",
    ),
    "device": Param("auto", enum=["auto", "cpu", "cuda"], description="What Whisper runs on."),
    "build": Param(True, type="boolean", description="Cut a release at the end."),
    **policy_params(),
}


def extractors(names: tuple[str, ...]) -> list[str]:
    """The flags that name them."""
    return [f"--extractor={name}" for name in names]


@task_group
def corpus(name: str, ingest: list[str], segment: bool, cut: list[str]) -> None:
    """One corpus from its manifests to its scores."""
    this = ("--lake", LAKE, "--corpus", name, *WAIT)
    chain(
        submit("ingest-manifests", "--lake", LAKE, *WAIT, ingest, task_id="ingest"),
        submit("segment-recordings", *this, cut, task_id="segment", enabled=segment),
        submit(
            "extract-signals",
            *this,
            extractors(ON_CPUS),
            task_id="extract_cpu",
            # Most corpora skip the step before.
            trigger_rule=TriggerRule.NONE_FAILED,
        ),
        submit(
            "extract-signals",
            *this,
            extractors(ON_GPUS),
            "{{ '--model=' ~ params.model if params.model else '' }}",
            "--device={{ params.device }}",
            task_id="extract_gpu",
            pool=GPUS,
        ),
        submit("score-transcripts", *this, task_id="score"),
    )


@task(trigger_rule=TriggerRule.ALL_DONE, retries=0)
def outcome(corpora: list[dict[str, Any]] | None, **context: Any) -> str:
    """Name what failed, and fail with it: the last task of a run decides what the run is called."""
    ti, names = context["ti"], [corpus["name"] for corpus in corpora or ()]
    failed = failures(
        ti.get_task_breadcrumbs(ti.dag_id, ti.run_id),
        names,
        lambda task_id, index: ti.xcom_pull(task_ids=task_id, map_indexes=index, key="refusal"),
    )
    if failed:
        raise AirflowFailException(sentence(failed, names))
    return f"{len(names)} corpora done"


with DAG(
    "speechlake_corpus",
    schedule="15 2 * * *",
    params=PARAMS,
    **common(__doc__, late_after=timedelta(hours=10)),
):
    corpora = ExternalPythonOperator(
        task_id="corpora",
        python=str(Installation.here().python),
        python_callable=corpora_of,
        op_kwargs={"file": CORPORA, "only": "{{ params.corpora | tojson }}"},
        expect_airflow=False,
        # A file that is wrong is wrong again; a Python that was killed, or storage that hung, is not.
        retries=1,
    )
    each = corpus.expand_kwargs(corpora.output)
    duplicates = submit(
        "find-duplicates",
        *("--lake", LAKE, *WAIT),
        outlets=[MEASURED],
        # What the others share is found without the one that failed.
        trigger_rule=TriggerRule.ALL_DONE_MIN_ONE_SUCCESS,
    )
    build = submit(
        "build-splits",
        *("--lake", LAKE, "--policy", POLICY, "--release", RELEASE, *WAIT),
        enabled="{{ params.build }}",
        outlets=[RELEASED],
    )
    end = outcome(corpora.output)
    each >> [duplicates, build, end]
    duplicates >> build >> end
