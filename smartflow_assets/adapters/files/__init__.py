"""Files beside the warehouse: tables that people bring, results, exports, labels, copies of folders, the log of a search."""
