"""Every Sunday: upkeep of the tables.

Small files are made into larger ones, what nobody can read any more is deleted after its retention, and so are
stages and builds that no run will take up again. No row of a published release is touched, and running jobs and
readers are spared: it may run beside everything else.

**By hand**: *Trigger* with `plan` on says what would be done, in the XCom of the task, and does nothing.

**When it fails**: it may be started again at once, and takes up what is left. A week without it costs disk and some
speed, and nothing else. Ended with 4: a long job holds a table; the retries follow by themselves.

**Needs**: Variable `speechlake_lake`; connection `speechlake_spark`; pool `spark_driver`.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, Param
from speechlake_airflow.common import LAKE, common
from speechlake_airflow.submit import submit

with DAG(
    "speechlake_maintenance",
    schedule="0 12 * * 0",
    params={"plan": Param(False, type="boolean", description="Only say what would be done.")},
    **common(__doc__, late_after=timedelta(hours=12)),
):
    submit("maintain-tables", "--lake", LAKE, "{{ '--plan' if params.plan else '' }}")
