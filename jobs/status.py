"""Status: how every corpus of a lake stands: ingested, measured, stale, failed, to be tried again, last
run, cost.

    spark-submit --py-files dist/speechlake.zip jobs/status.py --lake s3a://corpus/lake --corpora corpora.yaml
"""

import sys

from speechlake.cli import main

sys.exit(main(["status", *sys.argv[1:]]))
