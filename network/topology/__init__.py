"""A Fabric network from one description: key material, channel, settings of every process, and its changes later."""
