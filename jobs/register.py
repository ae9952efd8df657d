"""Register: tables and views of a lake in a catalog, for those who bring their own SQL and no speechlake.

spark-submit --py-files dist/speechlake.zip jobs/register.py --lake s3a://corpus/lake --database speech
"""

import sys

from speechlake.cli import main

sys.exit(main(["register", *sys.argv[1:]]))
