"""Sent after the commit, to every receiver even if one fails (`send_robust`).

Those of payments have the argument `purchase`, and one that failed or was abandoned may still be completed. Those of
wallets have `wallet` and `notice`, at most one of a kind a day: `credits_low` with `available` (credits) and
`days_left` (at the pace of the last seven days; None: no pace), `credits_depleted`, and `credits_expiring` with
`credits` and `expires_at`.

Money that goes back: `purchase_refunded` (with `purchase` and `refund`) when Paystack says it is done, `refund_failed`
and `refund_needs_attention` (with `refund`), `dispute_opened` and `dispute_resolved` (with `dispute`).
`payment_needs_review` has `purchase` (None for a payment that belongs to none) and `item`.

A receiver cannot undo a payment: what it raises is logged by Django and the credits stay.
"""

from django.dispatch import Signal

purchase_completed = Signal()
purchase_failed = Signal()
purchase_abandoned = Signal()
payment_needs_review = Signal()

purchase_refunded = Signal()
refund_failed = Signal()
refund_needs_attention = Signal()
dispute_opened = Signal()
dispute_resolved = Signal()

credits_low = Signal()
credits_depleted = Signal()
credits_expiring = Signal()
