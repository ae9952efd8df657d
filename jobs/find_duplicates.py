"""Find duplicates: signals of all corpora -> who shares audio with whom, as copies or in part.

spark-submit --py-files dist/speechlake.zip jobs/find_duplicates.py --lake s3a://corpus/lake
"""

import sys

from speechlake.cli import main

sys.exit(main(["find-duplicates", *sys.argv[1:]]))
