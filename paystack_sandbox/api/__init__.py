"""Paystack's own API: one function an operation, from a `Call` to an `Answer`, without HTTP."""
