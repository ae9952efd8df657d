"""Review: a sample of what a rule decides -> one page to listen to, whose answers say how often it is
right.

    spark-submit --py-files dist/speechlake.zip jobs/review.py \\
        --lake s3a://corpus/lake --rule error_rate --n 50 --html review.html
"""

import sys

from speechlake.cli import main

sys.exit(main(["review", *sys.argv[1:]]))
