"""Paystack on localhost."""
