"""Review: a sample of what a rule decides -> one page to listen to, whose answers say how often it is right.

Draws, per language, utterances within 20 % of the rule's threshold and others at random, as many that the rule
removes as it keeps, in an order that depends on the seed alone. The page opens from disk without a network;
keys answer, and the saved answers come back by `speechlake import-signals --review`.

    spark-submit --py-files dist/speechlake.zip jobs/review.py \\
        --lake s3a://corpus/lake --rule error_rate --n 50 --html review.html
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from speechlake import job, questions
from speechlake.config import loads
from speechlake.errors import UsageError
from speechlake.feedback.page import MAX_MB, Review, review_page, with_sounds
from speechlake.feedback.sample import MARGIN, sample
from speechlake.feedback.verdicts import REMOVED
from speechlake.job import Report
from speechlake.lake import Lake
from speechlake.manifests.roots import all_roots
from speechlake.page.render import page_path, write_page
from speechlake.progress import Progress
from speechlake.splits.policy import Policy, load_policy

NAME = "review"


def arguments() -> argparse.ArgumentParser:
    """Every knob of this job; text becomes typed values here and nowhere deeper."""
    made = job.parser(__doc__)
    made.add_argument("--rule", required=True, help="name of a rule of the policy")
    policies = made.add_mutually_exclusive_group()
    policies.add_argument("--release", help="whose policy has the rule; default the one published last")
    policies.add_argument(
        "--policy",
        type=Path,
        help="YAML file, or name, of a policy that has the rule, in place of a release's",
    )
    made.add_argument("--n", type=job.whole(1), default=50, help="utterances per language; default 50")
    made.add_argument("--seed", type=int, default=0, help="another seed draws others; default 0")
    made.add_argument("--max-mb", type=float, default=MAX_MB, help=f"of audio in the page; default {MAX_MB}")
    made.add_argument("--html", required=True, metavar="FILE", help="where the page is written")
    return made


def run(
    lake: Lake,
    policy: Policy,
    said_by: str,
    *,
    rule: str,
    html: str,
    n: int = 50,
    seed: int = 0,
    max_mb: float = MAX_MB,
    progress: Progress,
) -> Report:
    """Draw a sample of what `rule` of `policy` decides, and write the page; `said_by` names the policy's place."""
    path = page_path(html)
    rows = sample(lake, policy, rule, per_language=n, seed=seed)
    items = list(with_sounds(rows, all_roots(lake), max_mb=max_mb))
    if not items:
        raise UsageError(
            f"no clip fits into --max-mb {max_mb:g}",
            hint=f"The default is {MAX_MB}; a clip of 5 s takes 0.15.",
        )
    review = Review(shlex.quote(lake.root), rule, policy.name, policy.digest(), said_by, seed)
    left_out = len(rows) - len(items)
    write_page(path, review_page(review, items, left_out=left_out))
    counts = {
        "utterances": len(items),
        "languages": len({item.row["stratum_language"] for item in items}),
        "at_margin": sum(item.row["sample"] == MARGIN for item in items),
        "removed": sum(item.row["decision"] == REMOVED for item in items),
        "without_audio": sum(item.sound.uri is None for item in items),
        "left_out": left_out,
    }
    progress.say(
        f"{path}: " + ", ".join(f"{value} {name.replace('_', ' ')}" for name, value in counts.items())
    )
    following = (
        f"speechlake import-signals --lake {review.lake} --name {review.import_name} --review ANSWERS.jsonl"
    )
    return Report(NAME, counts=counts, next_step=following)


def policy_of(lake: Lake, parsed: argparse.Namespace) -> tuple[Policy, str]:
    """The policy that has the rule, and how the page names its place; UsageError where there is none."""
    if parsed.policy is not None:
        return parsed.policy, parsed.policy_place
    release = questions.release_named(lake, parsed.release)
    if release is None:
        raise UsageError(f"nothing was published in {lake.root}", hint="Name a policy: --policy FILE.")
    place = f"release {release['release']}"
    return loads(str(release["policy"]), place, Policy), place


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; the exit code."""
    return job.main(NAME, arguments(), _call, argv, read=_read)


def _read(parsed: argparse.Namespace) -> None:
    if not parsed.max_mb > 0:
        raise UsageError(f"--max-mb {parsed.max_mb:g}: expected more than 0")
    page_path(parsed.html)
    if parsed.policy is not None:
        parsed.policy, parsed.policy_place = load_policy(parsed.policy), f"file {parsed.policy.name}"


def _call(lake: Lake, parsed: argparse.Namespace) -> Report:
    lake = job.existing(lake)
    policy, said_by = policy_of(lake, parsed)
    return run(
        lake,
        policy,
        said_by,
        rule=parsed.rule,
        html=parsed.html,
        n=parsed.n,
        seed=parsed.seed,
        max_mb=parsed.max_mb,
        progress=Progress(),
    )


if __name__ == "__main__":
    sys.exit(main())
