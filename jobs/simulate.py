"""Simulate: what a policy would keep, and which rows another would change. Writes nothing.

    spark-submit --py-files dist/speechlake.zip jobs/simulate.py \\
        --lake s3a://corpus/lake --policy asr-train --policy stricter.yaml
"""

import sys

from speechlake.cli import main

sys.exit(main(["simulate", *sys.argv[1:]]))
