"""Paystack's books beside ours: what was missed is settled, what disagrees is named (laws 6 to 8 and 10).

    passes.py    one pass: what is due by the clock, one process at a time; the task that repeats it
    checking.py  asks Paystack about each purchase that is not decided, ever more rarely
    listing.py   reads Paystack's own list of payments for a window, and goes on where it was stopped
    comparing.py the statements that compare the list with our purchases, in sets
    money_back.py reads Paystack's lists of refunds and disputes, for payments of any age
    findings.py  what is done about each disagreement
    payouts.py   what Paystack paid out, tied to what it was made of
    stumbles.py  what goes wrong with one reference, and must not stop the others
    pace.py      how often Paystack is asked
    jobs.py      what is due by the clock, and who is at it

A payment found here goes through `settlement.settle`, as one that the buyer's return or a webhook tells of.
"""

from ai_features.billing.reconcile.listing import Window
from ai_features.billing.reconcile.passes import Report, Watch, ensure_scheduled, run_pass, tend

__all__ = ["Report", "Watch", "Window", "ensure_scheduled", "run_pass", "tend"]
