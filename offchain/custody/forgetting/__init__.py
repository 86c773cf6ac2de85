"""The store that can forget: one random secret per record, outside database, log files and ordinary backups."""
