"""What people write in YAML, as frozen models, with errors that name file and line. It opens no database and runs nothing."""
