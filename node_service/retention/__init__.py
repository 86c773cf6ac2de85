"""How long records have to be kept: rules as data with their legal source, and the decision."""
