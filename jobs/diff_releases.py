"""Diff releases: what the second of two releases adds, removes, moves and says otherwise.

spark-submit --py-files dist/speechlake.zip jobs/diff_releases.py --lake s3a://corpus/lake 2026-10 2026-11
"""

import sys

from speechlake.cli import main

sys.exit(main(["diff-releases", *sys.argv[1:]]))
