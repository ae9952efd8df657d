"""Segment recordings: long recordings without intervals -> utterances, cut at voice activity.

    spark-submit --py-files dist/speechlake.zip jobs/segment_recordings.py \\
        --lake s3a://corpus/lake --corpus meetings
"""

import sys

from speechlake.cli import main

sys.exit(main(["segment-recordings", *sys.argv[1:]]))
