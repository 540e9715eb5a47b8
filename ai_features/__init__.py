"""Prepaid AI credits for Django, paid through Paystack."""
