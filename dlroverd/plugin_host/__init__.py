"""Finds, loads, isolates and lists plugins. The daemon's side is `host`, the plugin's own process `child`."""
