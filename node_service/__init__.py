"""The node service of one hospital: use cases, database, outbox, follower, access log, HTTP API."""
