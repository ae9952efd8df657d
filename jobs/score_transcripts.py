"""Score transcripts: texts of people against texts of Whisper -> edit counts and error rates.

spark-submit --py-files dist/speechlake.zip jobs/score_transcripts.py --lake s3a://corpus/lake --corpus librispeech
"""

import sys

from speechlake.cli import main

sys.exit(main(["score-transcripts", *sys.argv[1:]]))
