"""The hospital's access log: a row is durable before the answer that it records starts."""
