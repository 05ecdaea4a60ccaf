"""What every reader's rows go through: the contract between reader and staging, text to typed values, bad rows with their reason."""
