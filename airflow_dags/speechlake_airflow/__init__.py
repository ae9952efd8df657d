"""What the DAGs share: where speechlake lies, how it is submitted, and who is told.

Importing it loads Airflow and its Spark provider, and nothing of speechlake: jobs run in processes of their own,
in the environment of speechlake.
"""
