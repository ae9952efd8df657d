"""Repair table: a table forgets files that its log names and that are gone or cut short, so that it can be
read again.

    spark-submit --py-files dist/speechlake.zip jobs/repair_table.py --lake s3a://corpus/lake signals_audio --plan
"""

import sys

from speechlake.cli import main

sys.exit(main(["repair-table", *sys.argv[1:]]))
