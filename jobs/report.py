"""Report: what a lake and a release hold, on the terminal or, with --html, as a page.

spark-submit --py-files dist/speechlake.zip jobs/report.py --lake s3a://corpus/lake --release 2026-11
spark-submit --py-files dist/speechlake.zip jobs/report.py --lake s3a://corpus/lake --html 2026-11.html
"""

import sys

from speechlake.cli import main

sys.exit(main(["report", *sys.argv[1:]]))
