"""A lake in a catalog: its tables and views for SQL users who do not run speechlake."""
