"""What a wallet should do, said as slowly and plainly as it can be; `machine.py` compares the credit engine with it.

Nothing is shared with the app. Credits leave their lot in the moment they are used, what falls due is done at its own
time, and what a cap has counted is added up from the history. Amounts are micro-credits.
"""

from tests.ai_features.billing.model.lease import LeaseModel
from tests.ai_features.billing.model.values import MOST, NEVER, Asked, Caller, Prices, Refused, credits_of
from tests.ai_features.billing.model.wallet import WalletModel

__all__ = ["MOST", "NEVER", "Asked", "Caller", "LeaseModel", "Prices", "Refused", "WalletModel", "credits_of"]
