"""What staff sees. Money rows are read-only here as everywhere: staff edits packages, grants
credits, sends payments back and decides those in review.

A module for each model; importing this package registers them all.
"""

from ai_features.admin import (
    accounts,
    approvals,
    disputes,
    features,
    ledger,
    packages,
    purchases,
    reconciliation,
    refunds,
    review,
    seals,
    wallets,
    webhooks,
)

__all__ = [
    "accounts",
    "approvals",
    "disputes",
    "features",
    "ledger",
    "packages",
    "purchases",
    "reconciliation",
    "refunds",
    "review",
    "seals",
    "wallets",
    "webhooks",
]
