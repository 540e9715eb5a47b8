"""Money that goes back to the payer, and the credits that go with it.

    asking     we ask Paystack for a refund: the row and its credits are committed first (law 7)
    following  what Paystack says of a purchase's refunds and disputes is read, and ours brought in line with it

Below it, without HTTP: `billing.refund_list` applies a list that was read, `billing.refund_matching` says which of
Paystack's refunds is which of ours (pure). The life of one refund is in `billing.refund_moves`: credits are taken when
it is asked for, and given back if it fails.

Credits leave once for each refund and come back at most once, whatever asks, repeats or arrives out of order: every
move happens under the purchase's lock, by the table of moves.
"""

from ai_features.billing.refunds.asking import ask, record, retry, start
from ai_features.billing.refunds.following import bring_in_line, follow_dispute, read_disputes, unfinished

__all__ = ["ask", "bring_in_line", "follow_dispute", "read_disputes", "record", "retry", "start", "unfinished"]
