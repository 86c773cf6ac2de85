"""Erasure, retraction and locks: wishes, orders, step-by-step removal, notices to other hospitals, certificates."""
