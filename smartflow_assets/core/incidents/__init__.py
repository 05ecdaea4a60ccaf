"""From anomalies and failures to incidents and messages: lifecycle, event log, policy, planning, content."""
