"""How hosts come to trust each other: the fleet's authority, join tokens, and the requests that they are shown with."""
