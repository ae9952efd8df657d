"""Explain: the way of one utterance through all tables.

spark-submit --py-files dist/speechlake.zip jobs/explain.py --lake s3a://corpus/lake 3f2a9c
"""

import sys

from speechlake.cli import main

sys.exit(main(["explain", *sys.argv[1:]]))
