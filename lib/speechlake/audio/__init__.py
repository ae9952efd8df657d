"""Audio: opening it under a root, decoding it in a child process, cutting and resampling it."""
