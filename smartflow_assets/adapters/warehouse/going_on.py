"""Which incidents go on, as the table `incidents` says it: those that are not resolved, and those that a person has resolved while their
matter goes on (`event_log.is_going_on`)."""

GOING_ON = "(state <> 'resolved' OR (resolved_by IS NOT NULL AND recovered_at IS NULL))"
