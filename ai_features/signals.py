"""Sent after the commit, to every receiver even if one fails (`send_robust`); `purchase` is the argument of each.

A receiver cannot undo a payment: what it raises is logged by Django and the credits stay.
"""

from django.dispatch import Signal

purchase_completed = Signal()
purchase_failed = Signal()
payment_needs_review = Signal()
