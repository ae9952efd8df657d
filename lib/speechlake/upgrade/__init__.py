"""Bringing a lake of an older version to this code's contracts: one migration after another, one file each.

A migration looks at what is stored and names the changes that it lacks; done twice, or ended in between, it names
what is left. What it wrote stays right whatever later contracts say: it speaks of columns by literals, not through
`schemas`. Values that nobody knew are null or empty; what the next run of a job finds out is left to it.
"""

from collections.abc import Callable, Iterator

from speechlake.lake import Lake
from speechlake.upgrade import to_2, to_3
from speechlake.upgrade.change import Change

Migration = Callable[[Lake], Iterator[Change]]

# The version that is reached -> what a lake of the one before lacks. In order, without a gap.
MIGRATIONS: dict[int, Migration] = {2: to_2.changes, 3: to_3.changes}
