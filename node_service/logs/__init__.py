"""The hospital's append-only RFC 6962 logs in its database."""
