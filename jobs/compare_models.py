"""Compare models: two models of Whisper, or ways to run one, over the utterances that both measured.

    spark-submit --py-files dist/speechlake.zip jobs/compare_models.py --lake s3a://corpus/lake \\
        --old whisper-base --new whisper-large-v3 --policy asr-train
"""

import sys

from speechlake.cli import main

sys.exit(main(["compare-models", *sys.argv[1:]]))
