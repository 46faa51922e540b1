"""Typed configuration of the daemon and the agent, the job file, and the command line of `run` and `submit`.

Turns what people write into frozen values, or into sentences that say what to correct. Must not start,
connect or place anything; it reads only the files it is given and what a submitter's host says of itself.
"""
