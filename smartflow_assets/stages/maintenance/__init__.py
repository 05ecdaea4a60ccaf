"""Care of a home: backup and restore, retention."""
