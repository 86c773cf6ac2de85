"""A hospital that cheats, alone, in a pair, or as root of a database, and what each theft comes to."""
