"""The pure core: values, rules and ports. No I/O, no clock, no randomness of its own."""
