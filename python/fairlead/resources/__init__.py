"""The parts of a client that speak to one endpoint each."""
