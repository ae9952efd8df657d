"""Ingest manifests: files and folders that list audio -> corpora, recordings, utterances, transcripts.

    spark-submit --py-files dist/speechlake.zip jobs/ingest_manifests.py \\
        --lake s3a://corpus/lake --corpus librispeech --audio-root s3a://corpus/LibriSpeech s3a://corpus/LibriSpeech
"""

import sys

from speechlake.cli import main

sys.exit(main(["ingest-manifests", *sys.argv[1:]]))
