"""Made-up people, histories and images for demonstrations and tests: clearly synthetic, equal for equal seeds."""
