"""Every Monday, or by hand: a release cut from a policy. Needs no model and no audio.

`build` evaluates the policy over what the tables hold, and the gate recomputes leaks from the rows that it is about
to publish. `verify` reads the release back: its digest, the gate once more, and a sample of the files.

**By hand**: *Trigger* with the path of a policy (a file on the machine that runs the task), and a name for the
release. A name is used once: the same policy over the same tables under the same name does nothing; anything else
under a used name ends with 2.

**The gate's verdict** is the XCom of `build`: `return_value` holds the counts of a published release, `refusal`
what was found otherwise. An alert says the same. After a refusal nothing is published, and every other release is as
it was:

* `LeakFound`: something sits on two sides. It names the link and the rows; `speechlake explain` shows them. This is
  never to be overridden: tell the owners of speechlake.
* `BuildRefused`: a limit of the policy, such as `max_evicted_share`, of which `speechlake simulate` shows what another
  would give; or too much audio that `find-duplicates` never compared: it says so. Trigger `speechlake_corpus`, or run
  that job, then this one again.

**When `verify` fails**, a published release is no longer what it was, for example because a file was changed or
erased: see docs/reliability.md. Training that reads it will refuse the changed files by itself.

**Needs**: Variables `speechlake_lake`, `speechlake_policy`; connection `speechlake_spark`; pool `spark_driver`.
Announces the asset `speechlake_released`.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG
from speechlake_airflow.common import LAKE, POLICY, RELEASE, RELEASED, WAIT, common, policy_params
from speechlake_airflow.submit import submit

with DAG(
    "speechlake_splits",
    schedule="30 6 * * 1",
    params=policy_params(),
    **common(__doc__, late_after=timedelta(hours=3)),
):
    build = submit(
        "build-splits",
        *("--lake", LAKE, "--policy", POLICY, "--release", RELEASE, *WAIT),
        task_id="build",
        outlets=[RELEASED],
    )
    verify = submit("verify-release", "--lake", LAKE, "--sample=100", RELEASE, task_id="verify")
    build >> verify
