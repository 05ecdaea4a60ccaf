"""Which source is due, and why: slots, dropped files, requests for a training."""
