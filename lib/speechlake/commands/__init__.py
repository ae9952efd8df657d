"""What each command does: its flags, and `run`, which a test or a notebook calls. jobs/ has a script for each."""
