"""The node's HTTP interface for programs: wire models and a typed client. Imports nothing else of the node."""
