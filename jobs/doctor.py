"""Doctor: is this machine, and a lake, in order, and what is to be mended?

spark-submit jobs/doctor.py --lake s3a://corpus/lake
"""

import sys

from speechlake.cli import main

sys.exit(main(["doctor", *sys.argv[1:]]))
