"""What every reader's rows go through: the contract between reader and staging, text to values, quarantine."""
