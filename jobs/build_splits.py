"""Build splits: a policy over everything that is known -> a published release of train, dev and test.

    spark-submit --py-files dist/speechlake.zip jobs/build_splits.py \\
        --lake s3a://corpus/lake --policy asr-train --release 2026-11
"""

import sys

from speechlake.cli import main

sys.exit(main(["build-splits", *sys.argv[1:]]))
