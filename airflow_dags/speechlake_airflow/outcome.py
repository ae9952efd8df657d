"""What became of a run over several corpora, told by corpus."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

LAKE = "the whole lake"


def failures(
    seen: Iterable[Mapping[str, Any]],
    names: Sequence[str],
    refusal: Callable[[str, int], str | None],
) -> dict[str, str]:
    """What failed, by corpus: the task, and what the job said.

    `seen` are tasks that have ended (`task_id`, `map_index`, `state`); `names` are the corpora in the order of
    their map index; `refusal` gives a task's last words.
    """
    told = {}
    for task in seen:
        if task["state"] != "failed":
            continue
        index = int(task["map_index"])
        corpus = names[index] if 0 <= index < len(names) else LAKE
        told[corpus] = f"{task['task_id']}: {refusal(task['task_id'], index) or 'see its log'}"
    return told


def sentence(failed: Mapping[str, str], names: Sequence[str]) -> str:
    """One line for each failure, and how many corpora are done."""
    done = len([name for name in names if name not in failed])
    lines = [f"{name}: {what}" for name, what in sorted(failed.items())]
    return "\n".join([f"{done} of {len(names)} corpora done; no release was cut", *lines])
