"""The node's relational database (SQLite by default, portable SQL)."""
