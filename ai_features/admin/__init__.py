"""What staff sees. Money rows are read-only here as everywhere: staff edits packages and grants credits.

A module for each model; importing this package registers them all.
"""

from ai_features.admin import accounts, ledger, packages, purchases, reconciliation, wallets, webhooks

__all__ = ["accounts", "ledger", "packages", "purchases", "reconciliation", "wallets", "webhooks"]
