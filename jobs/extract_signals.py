"""Extract signals: utterances -> one table of measurements per extractor.

    spark-submit --py-files dist/speechlake.zip jobs/extract_signals.py \\
        --lake s3a://corpus/lake --corpus librispeech --extractor audio --extractor whisper
"""

import sys

from speechlake.cli import main

sys.exit(main(["extract-signals", *sys.argv[1:]]))
