"""The contract as a service: Fabric's peer calls it over gRPC; it sees the ledger through a stub over that stream."""
