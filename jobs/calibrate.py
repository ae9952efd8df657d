"""Calibrate: may a Whisper model hear short clips in short windows? Compared on transcribed clips of the
lake.

    spark-submit --py-files dist/speechlake.zip jobs/calibrate.py --lake s3a://corpus/lake --model whisper-base
"""

import sys

from speechlake.cli import main

sys.exit(main(["calibrate", *sys.argv[1:]]))
