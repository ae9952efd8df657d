"""Names and strings as Spark SQL writes them, for statements that take no parameters."""

from __future__ import annotations


def literal(text: str) -> str:
    """A string as a literal."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def name(*parts: str) -> str:
    """A name of one or several parts, quoted."""
    return ".".join("`" + part.replace("`", "``") + "`" for part in parts)
