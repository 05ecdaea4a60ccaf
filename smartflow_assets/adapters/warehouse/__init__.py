"""The only place that opens the DuckDB file: lock, engine, tables, writes, load, migrations, publishing, retention."""
