"""The truth, in tables. The laws these models keep (numbers as in the design):

1. `wallet.balance − wallet.debt` = Σ `ledger entry.amount`; only `billing/ledger.py` writes any of them.
2. Σ `lot.remaining` − `wallet.unallocated` = `wallet.balance`.
3. The database refuses `held < 0`, `balance < held`, `debt < 0`, `lot.remaining < 0`.
4. One settled purchase ⇔ exactly one purchase entry, by unique constraint.
5. Ledger entries and received webhook bodies never change and are never deleted, by trigger (`triggers.py`).
"""

from ai_features.models.accounts import AccountDay, AccountItem, ItemKind, LotMark
from ai_features.models.approvals import GrantRequest, GrantStatus
from ai_features.models.disputes import DISPUTE_MOVES, Dispute, DisputeStatus
from ai_features.models.features import CapPeriod, CapScope, FeaturePrice, SpendingCap
from ai_features.models.ledger import USAGE_KINDS, EntryKind, IdempotencyKey, LedgerEntry
from ai_features.models.lots import ORDER_OF_USE, Lot, LotSource
from ai_features.models.metrics import Tally
from ai_features.models.purchases import Mode, Package, Purchase, PurchaseStatus, SettledBy
from ai_features.models.reconciliation import (
    Finding,
    FindingKind,
    Job,
    ListedPayment,
    Payout,
    PaystackAnswer,
    Reconciliation,
    ReconciliationStatus,
)
from ai_features.models.refunds import OPEN_REFUNDS, REFUND_MOVES, Refund, RefundStatus
from ai_features.models.reservations import RESERVATION_MOVES, Reservation, ReservationStatus
from ai_features.models.review import ReviewItem, ReviewKind, ReviewStatus
from ai_features.models.seals import LedgerSeal
from ai_features.models.usage import Notice, NoticeKind, UsageDay, UsageMark
from ai_features.models.wallets import Wallet
from ai_features.models.webhooks import EventStatus, WebhookEvent

__all__ = [
    "DISPUTE_MOVES",
    "OPEN_REFUNDS",
    "ORDER_OF_USE",
    "REFUND_MOVES",
    "RESERVATION_MOVES",
    "USAGE_KINDS",
    "AccountDay",
    "AccountItem",
    "CapPeriod",
    "CapScope",
    "Dispute",
    "DisputeStatus",
    "EntryKind",
    "EventStatus",
    "FeaturePrice",
    "Finding",
    "FindingKind",
    "GrantRequest",
    "GrantStatus",
    "IdempotencyKey",
    "ItemKind",
    "Job",
    "LedgerEntry",
    "LedgerSeal",
    "ListedPayment",
    "Lot",
    "LotMark",
    "LotSource",
    "Mode",
    "Notice",
    "NoticeKind",
    "Package",
    "Payout",
    "PaystackAnswer",
    "Purchase",
    "PurchaseStatus",
    "Reconciliation",
    "ReconciliationStatus",
    "Refund",
    "RefundStatus",
    "Reservation",
    "ReservationStatus",
    "ReviewItem",
    "ReviewKind",
    "ReviewStatus",
    "SettledBy",
    "SpendingCap",
    "Tally",
    "UsageDay",
    "UsageMark",
    "Wallet",
    "WebhookEvent",
]
