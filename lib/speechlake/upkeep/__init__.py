"""Upkeep of a lake: what is in nobody's use any more goes, what is scattered is gathered.

Each step finds its work, each piece of which may be done alone, twice, or by the next run; a table is finished
before the next one begins. No step changes a row of a published release, or one that a view, a policy or the
resumption of a job reads.
"""

from speechlake.upkeep.sweep import dead_stages, superseded_hashes, unpublished_builds
from speechlake.upkeep.tables import long_log, small_files, unreadable_files
from speechlake.upkeep.work import LakeStep, TableStep

LAKE_STEPS: tuple[LakeStep, ...] = (dead_stages, unpublished_builds, superseded_hashes)
TABLE_STEPS: tuple[TableStep, ...] = (small_files, long_log, unreadable_files)
