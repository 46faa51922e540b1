"""Launchers: how a host starts, watches and stops ranks. One narrow interface, one module family per way."""
