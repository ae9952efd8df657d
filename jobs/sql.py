"""SQL: a query over the tables and views of a lake, printed as a table, or as CSV of all its rows.

spark-submit jobs/sql.py --lake s3a://corpus/lake "select language, count(*) from utterances_now group by 1"
"""

import sys

from speechlake.cli import main

sys.exit(main(["sql", *sys.argv[1:]]))
