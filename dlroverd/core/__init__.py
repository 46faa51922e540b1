"""The pure heart: state, inputs and now go in; events and reasons come out.

Owns every decision about jobs, gangs, ranks and nodes. Must not know a clock, randomness, I/O, logging or
asyncio, and imports `model` only. Read in this order: state, transitions, apply, turn, handle, passes/.
"""
