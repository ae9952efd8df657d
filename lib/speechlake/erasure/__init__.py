"""Erasure on request: who and what is meant, which rows that is in every table, and how no trace of them stays."""
