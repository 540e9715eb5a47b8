"""The accountant's books: money received, fees, payouts, and what of the credits sold is still owed.

    replay.py   which lots a day's entries used, and what that was worth; pure
    closing.py  closes each day once, from the entries it had
    reports.py  closed days, added up for a day or a month

Revenue is recognised by lot. What a purchase cost without tax is spread evenly over all its credits, bonus included:
a bonus is a lower price for each credit. A credit that is used is revenue from use, one that expires is revenue from
expiry (breakage), and what is left is owed: deferred revenue. Granted credits are worth nothing.
"""

from ai_features.billing.accounts.closing import close_days, rebuild
from ai_features.billing.accounts.reports import Statement, statements

__all__ = ["Statement", "close_days", "rebuild", "statements"]
