"""By hand: erase what a request file names, after a person has seen the plan.

`request` notes the file's sha256, `plan` counts what would go, `approve` waits for a person, `unchanged` looks
whether the file is still the one that was planned, `erase` erases.

1. Write the request file where the machine that runs the tasks sees it; docs/erasure.md says what is in it.
2. *Trigger* with its path. After `plan`, the run waits: *Required Actions* shows what would be erased.
3. *Approve*, or *Reject*: then the rest is skipped, and nothing was touched. After 14 days without an answer the run
   fails, and nothing was touched.
   Other requests do not wait for the answer.
4. `<request>.report.md`, beside the request, tells the plan until then; at the end it is the answer for the person
   who asked. A plan made again leaves the answer as it is.

**This cannot be taken back.** Releases that held the erased rows are replaced by successors without them: tell
those who train on them. A corpus that was erased as a whole must be taken out of `corpora.yaml`: its next ingest
is refused, and fails the runs of `speechlake_corpus`.

**When it fails**: *Clear* the task that failed. An erasure that was interrupted is finished by the same command;
until it says 0, do not tell anybody that it is done. Ended with 4: other jobs are running, and an erasure runs
alone; the retries follow by themselves. Other DAGs end with 4 until it is finished. `erase` ended with 3: all is
erased, and the gate refused the successor of a release; the report says which. Build it by hand, then *Clear* `erase`:
it finds nothing to do. `unchanged` failed, or `erase` names another sha256: the file was edited
after the plan; trigger a new run.

**Needs**: Variable `speechlake_lake`; connection `speechlake_spark`; pool `spark_driver`. Announces the asset
`speechlake_erased`.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import DAG, Param, chain, task
from airflow.sdk.exceptions import AirflowFailException
from speechlake_airflow.common import ERASED, LAKE, WAIT, common
from speechlake_airflow.submit import submit

REQUEST = "{{ params.request }}"
NOTED = "{{ ti.xcom_pull(task_ids='request') }}"
# Beside the request, because it names whom the lake shall name no more.
REPORT = f"--report={REQUEST}.report.md"
ANSWER_WITHIN = timedelta(days=14)
PLAN = """\
`{{ params.request }}` (sha256 `{{ ti.xcom_pull(task_ids='request') }}`) asks to erase from `{{ var.value.speechlake_lake }}`:

```json
{{ ti.xcom_pull(task_ids='plan') | tojson(indent=2) }}
```

This cannot be taken back."""


def digest(path: str) -> str:
    """The file's sha256; a file that is not there is no matter of retries."""
    import hashlib
    from pathlib import Path

    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError as error:
        raise AirflowFailException(f"the request cannot be read: {error}") from None


@task
def request(path: str) -> str:
    """What the request says now."""
    return digest(path)


@task
def unchanged(path: str, planned: str) -> None:
    """What is erased is what was approved."""
    if digest(path) != planned:
        raise AirflowFailException(f"{path} was changed after it was planned: trigger a new run")


with DAG(
    "speechlake_erase",
    schedule=None,
    params={"request": Param(type="string", pattern="^/", description="Absolute path of the request file.")},
    **common(
        __doc__,
        late_after=ANSWER_WITHIN + timedelta(days=1),
        # One request does not wait for the answer to another; their erasures do, one by one.
        max_active_runs=16,
    ),
):
    # Every try reads the file anew: it reads what was approved, or ends.
    erasure = ("--lake", LAKE, "--request", REQUEST, "--sha256", NOTED, REPORT)
    planned = request(REQUEST)
    chain(
        planned,
        submit("erase-speakers", *erasure, "--plan", task_id="plan"),
        ApprovalOperator(
            task_id="approve",
            subject="Erase what {{ params.request }} asks for?",
            body=PLAN,
            response_timeout=ANSWER_WITHIN,
            retries=0,
        ),
        unchanged(REQUEST, planned),
        submit(
            "erase-speakers",
            *erasure,
            *WAIT,
            task_id="erase",
            outlets=[ERASED],
            max_active_tis_per_dag=1,
        ),
    )
