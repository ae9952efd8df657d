"""Erase speakers, recordings, utterances or corpora: out of every table, its files, its log, and for good.

    spark-submit --py-files dist/speechlake.zip jobs/erase_speakers.py \\
        --lake s3a://corpus/lake --request request.yaml --report erasure.md
"""

import sys

from speechlake.cli import main

sys.exit(main(["erase-speakers", *sys.argv[1:]]))
