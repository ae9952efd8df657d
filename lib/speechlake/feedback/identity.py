"""What the fingerprints of imports are made of: the source's content stands where models have their weights."""

from __future__ import annotations

from speechlake.feedback.spec import PREFIX, Import, ValueColumn
from speechlake.signals.extractor import Identity


def identity_of(spec: Import, column: ValueColumn, sha256: str, base_name: str) -> Identity:
    """Identity of a column's values, each of which is an extractor of its own."""
    said = {"column": column.field, "type": column.type, "key": spec.key, "corpus": spec.corpus}
    name = f"{PREFIX}{spec.name}.{column.name}"
    return Identity(name, spec.version, base_name, sha256, parameters=said)


def text_identity_of(spec: Import, sha256: str, base_name: str) -> Identity:
    """Identity of the texts of an import."""
    said = {"text": spec.text, "kind": spec.kind, "key": spec.key, "corpus": spec.corpus}
    return Identity(spec.source, spec.version, base_name, sha256, parameters=said)
