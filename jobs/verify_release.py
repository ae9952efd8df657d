"""Verify a release: its rows, its sides and a sample of its files are what was published.

spark-submit --py-files dist/speechlake.zip jobs/verify_release.py --lake s3a://corpus/lake 2026-11 --sample 500
"""

import sys

from speechlake.cli import main

sys.exit(main(["verify-release", *sys.argv[1:]]))
