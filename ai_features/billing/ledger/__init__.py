"""The one writer: nothing else creates ledger entries, lots or reservations, or moves a balance (laws 1 to 3).

`accounts` is the exact path: one wallet, locked, and everything that can happen to it; `take_backs` is its part for
money that goes back. `hot_path` does the ordinary case of the four operations that apps send by the thousand in one
statement (`deliveries` that of webhooks), and leaves every other case to the exact path; `queue` lets callers that wait
at the same moment share one commit.

Every row lock is taken in this package, always in this order, so that no two transactions can wait for each other:
purchase, wallet (several: in id order), reservation. Lots, entries, keys and caps belong to whoever holds the wallet.
"""

from ai_features.billing.ledger.accounts import Account, Charge, NewLot, UserKey, open_account
from ai_features.billing.ledger.deliveries import Delivery, delivery
from ai_features.billing.ledger.locks import lock_purchase, lock_refunds
from ai_features.billing.ledger.queue import settle
from ai_features.billing.ledger.take_backs import TakenBack, freeze, give_back, take_back, thaw

__all__ = [
    "Account",
    "Charge",
    "Delivery",
    "NewLot",
    "TakenBack",
    "UserKey",
    "delivery",
    "freeze",
    "give_back",
    "lock_purchase",
    "lock_refunds",
    "open_account",
    "settle",
    "take_back",
    "thaw",
]
