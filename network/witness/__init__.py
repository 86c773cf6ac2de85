"""The witness: a process beside a member's node that follows its own peer's blocks and signs what it saw."""
