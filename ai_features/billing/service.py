"""The façade: what apps, views, pages, admin and commands call. Credits go in and out as Decimal."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db import IntegrityError, transaction
from django.db.models import Sum

from ai_features.billing import ledger, purchases, settlement, webhooks
from ai_features.billing.purchases import Order, Quote
from ai_features.billing.wallets import Owner, wallet_of
from ai_features.exceptions import IdempotencyConflict
from ai_features.models import EntryKind, LedgerEntry, LotSource, Purchase, SettledBy, Wallet, WebhookEvent
from ai_features.money import to_credits, to_micro


@dataclass(frozen=True, slots=True)
class ExpiringCredits:
    credits: Decimal
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Balance:
    """In credits. `available` is what can be spent now: the balance less what is held, and nothing while in debt."""

    balance: Decimal
    held: Decimal
    available: Decimal
    expiring: tuple[ExpiringCredits, ...]


class AIBillingService:
    """Every method takes an owner – a user, a team's key, or a wallet – and each call is safe to repeat as told."""

    @staticmethod
    def wallet(owner: Owner) -> Wallet:
        """The owner's wallet, made on first use."""
        return wallet_of(owner)

    @staticmethod
    def balance(owner: Owner) -> Balance:
        """What the owner has, and when how much of it expires, soonest first."""
        wallet = wallet_of(owner)
        if wallet is owner:
            wallet.refresh_from_db()
        lots = wallet.lots.filter(remaining__gt=0).exclude(expires_at=None)
        expiring = lots.order_by("expires_at").values_list("expires_at").annotate(Sum("remaining"))
        return Balance(
            balance=to_credits(wallet.balance),
            held=to_credits(wallet.held),
            available=to_credits(wallet.available),
            expiring=tuple(ExpiringCredits(to_credits(micro), moment) for moment, micro in expiring if moment),
        )

    @staticmethod
    def grant(
        owner: Owner,
        credits: Decimal | int | str,  # noqa: A002  the vocabulary's own word
        *,
        reason: str,
        expires_at: datetime | None = None,
        idempotency_key: str | None = None,
        granted_by: AbstractBaseUser | None = None,
    ) -> LedgerEntry:
        """Add a lot without payment and return its entry. Without `expires_at` it never expires.

        Safe to repeat with the same `idempotency_key`. Raises CreditsOutOfRange, and IdempotencyConflict where
        the key stands for another amount or for something else.
        """
        new_lot = ledger.NewLot(
            EntryKind.GRANT,
            LotSource.GRANTED,
            to_micro(credits),
            expires_at,
            reason=reason,
            actor=granted_by,
            idempotency_key=idempotency_key,
        )
        wallet = wallet_of(owner)
        try:
            with transaction.atomic():
                (entry,) = ledger.add(ledger.lock_wallet(wallet.pk), [new_lot])
        except IntegrityError:
            earlier = LedgerEntry.objects.filter(wallet=wallet, idempotency_key=idempotency_key).first()
            if idempotency_key is None or earlier is None:
                raise
            if (earlier.kind, earlier.amount) != (EntryKind.GRANT, new_lot.amount):
                raise IdempotencyConflict(entry=earlier.pk) from None
            return earlier
        return entry

    @staticmethod
    def packages(currency: str | None = None) -> list[Quote]:
        """What is for sale, with tax and total."""
        return purchases.quotes(currency)

    @staticmethod
    def purchase_credits(buyer: AbstractBaseUser, package: str, **order: Any) -> Purchase:
        """Start a purchase for the buyer's wallet; send the browser to its `authorization_url`.

        The keywords are those of `Order`: `custom_amount` (Decimal, major units), `payment_method`, `callback_url`,
        `cancel_url`, `idempotency_key`. See `billing.purchases.start` for errors and repeats. Must not be called
        inside a transaction, since the purchase has to be on record before Paystack is asked.
        """
        return purchases.start(wallet_of(buyer), buyer, Order(package, **order))

    @staticmethod
    def verify_purchase(owner: Owner, reference: str) -> Purchase:
        """The owner's purchase as Paystack sees it now, settled if paid. Safe to repeat.

        Raises PurchaseNotFound (another's is none), or a PaystackError while Paystack cannot be asked.
        """
        return settlement.check(settlement.purchase_of(wallet_of(owner), reference), settled_by=SettledBy.RETURN)

    @staticmethod
    def receive_webhook(body: bytes, signature: str | None, *, source_ip: str = "") -> WebhookEvent:
        """See `billing.webhooks.receive`."""
        return webhooks.receive(body, signature, source_ip=source_ip)

    @staticmethod
    def replay_webhook(event: WebhookEvent) -> WebhookEvent:
        """Process a recorded event again. Safe to repeat."""
        return webhooks.process(event)
