"""Profile: which fingerprint of each extractor is current, per language if need be; and setting it.

    spark-submit --py-files dist/speechlake.zip jobs/profiles.py \\
        --lake s3a://corpus/lake --set whisper=whisper-large-v3 --language ka
"""

import sys

from speechlake.cli import main

sys.exit(main(["profile", *sys.argv[1:]]))
