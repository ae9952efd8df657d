"""Maintain tables: a lake that is used daily -> the same rows in few files, without what nobody can use
any more.

    spark-submit --py-files dist/speechlake.zip jobs/maintain_tables.py --lake s3a://corpus/lake --retention 7d
"""

import sys

from speechlake.cli import main

sys.exit(main(["maintain-tables", *sys.argv[1:]]))
