"""dlroverctl: what people and scripts type. An RPC client, nothing more.

One package a noun, one file a verb, each with its `command`. A verb imports what it needs when it runs, so that
help and completion stay quick. Must not decide anything about jobs: it asks, shows and waits.
"""
