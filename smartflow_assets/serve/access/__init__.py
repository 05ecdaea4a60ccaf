"""Who may do what: tokens with roles, hosts that are answered, limits, headers."""
