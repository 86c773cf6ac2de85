"""The contract, one package per version; a version that was released never changes."""
