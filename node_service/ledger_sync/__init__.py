"""The node and the ledger: follower, projection, anchors, submission."""
