"""The network of the stream family."""
