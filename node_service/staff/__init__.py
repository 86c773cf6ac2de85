"""People who work here: accounts, roles, sessions."""
