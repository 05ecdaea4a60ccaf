"""How good a detection is: walk-forward trials, metrics on labels, injected anomalies, search of settings, agreement."""
