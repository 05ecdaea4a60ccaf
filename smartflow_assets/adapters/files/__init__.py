"""Files beside the warehouse: tables that people bring, results, exports, labels, copies."""
