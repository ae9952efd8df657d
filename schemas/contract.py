"""The version of the set of contracts in this folder, which every lake carries.

Raise it when a stored table must change: a column that is added, removed, renamed or of another type, a key or
check of a table that exists. A new table needs nothing: it is made when it is first written. With a new version
come a migration in `lib/speechlake/upgrade/` and, made before the change, a lake of the old one (`tests/frozen_lake.py`).
"""

# 1: lakes from before there was a number. 2: the first that says it. 3: without samples of audio keys.
CONTRACT = 3
