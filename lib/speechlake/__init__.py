"""speechlake: from raw speech manifests to leak-free training splits, as Spark jobs over Delta tables.

Importing this package loads neither Spark nor a model framework.
"""

__version__ = "0.1.0"
