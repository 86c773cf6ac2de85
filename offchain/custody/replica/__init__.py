"""The synchronous replica of the record secrets: a folder on a second host, a small service, a mutual TLS channel."""
