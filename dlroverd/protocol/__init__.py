"""The wire: generated messages in v1/, their conversion to the model's values, errors, versions, addresses.

Must not decide anything, nor hold state.
"""
