"""Import signals: values that others measured, or another model's texts -> signals and transcripts.

    spark-submit --py-files dist/speechlake.zip jobs/import_signals.py --lake s3a://corpus/lake \\
        --name asr3 --column loss --column hardest_word:string s3a://training/asr3/losses.parquet
"""

import sys

from speechlake.cli import main

sys.exit(main(["import-signals", *sys.argv[1:]]))
