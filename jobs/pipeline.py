"""Pipeline: every job over the corpora of a file, one after another, in one Spark session.

    spark-submit --py-files dist/speechlake.zip jobs/pipeline.py \\
        --lake s3a://corpus/lake --corpora corpora.yaml --policy asr-train --release 2026-11
"""

import sys

from speechlake.cli import main

sys.exit(main(["pipeline", *sys.argv[1:]]))
