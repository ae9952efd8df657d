"""Upgrade a lake: tables of an older version -> tables with this version's contracts, rows kept.

spark-submit --py-files dist/speechlake.zip jobs/upgrade_lake.py --lake s3a://corpus/lake --plan
"""

import sys

from speechlake.cli import main

sys.exit(main(["upgrade-lake", *sys.argv[1:]]))
