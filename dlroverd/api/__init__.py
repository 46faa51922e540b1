"""The gRPC servers: check, convert, hand over, await, convert back."""
