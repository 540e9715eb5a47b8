"""The façade: what apps, views, pages, admin and commands call. Credits go in and out as Decimal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db.models import QuerySet

from ai_features.billing import (
    approvals,
    balances,
    caps,
    disputes,
    grants,
    pricing,
    purchases,
    refund_moves,
    refunds,
    reservations,
    review,
    settlement,
    spending,
    usage,
    webhooks,
)
from ai_features.billing.balances import Availability, Balance
from ai_features.billing.leases import Lease
from ai_features.billing.pricing import Credits, Use
from ai_features.billing.purchases import Order, Quote
from ai_features.billing.reservations import Captured, Reserved
from ai_features.billing.spending import Caller, Spent, SpentMany
from ai_features.billing.usage import UsageStats
from ai_features.billing.wallets import Owner, wallet_id_of, wallet_of
from ai_features.exceptions import InvalidRequest
from ai_features.models import (
    CapPeriod,
    CapScope,
    Dispute,
    GrantRequest,
    LedgerEntry,
    Purchase,
    Refund,
    ReviewItem,
    Wallet,
    WebhookEvent,
)
from ai_features.money import to_major
from ai_features.paystack import PaystackService

STATEMENT_MAX = 1000


class AIBillingService:
    """Every method takes an owner – a user, a team's key, or a wallet – and each call is safe to repeat as told.

    An owner who is nobody, such as a visitor who has not logged in, is an InvalidRequest.
    """

    @staticmethod
    def wallet(owner: Owner) -> Wallet:
        """The owner's wallet, made on first use."""
        return wallet_of(owner)

    @staticmethod
    def balance(owner: Owner) -> Balance:
        """What the owner has, and when how much of it expires, soonest first."""
        return balances.balance(wallet_id_of(owner))

    @staticmethod
    def grant(
        owner: Owner,
        credits: Credits,  # noqa: A002  the vocabulary's own word
        *,
        reason: str,
        expires_at: datetime | None = None,
        idempotency_key: str | None = None,
        granted_by: AbstractBaseUser | None = None,
    ) -> LedgerEntry:
        """Add a lot without payment and return its entry. Without `expires_at` it never expires; debt is paid first.

        Safe to repeat with the same `idempotency_key`. Raises CreditsOutOfRange, InvalidRequest for an expiry that
        has passed, ApprovalRequired where `granted_by` may not grant so much alone, and IdempotencyConflict where the
        key stands for another request: other credits, another reason or expiry.
        """
        return grants.grant(
            wallet_id_of(owner), credits, reason=reason, expires_at=expires_at, key=idempotency_key, actor=granted_by
        )

    @staticmethod
    def request_grant(
        owner: Owner,
        credits: Credits,  # noqa: A002
        *,
        reason: str,
        requested_by: AbstractBaseUser,
        expires_at: datetime | None = None,
        idempotency_key: str | None = None,
    ) -> GrantRequest:
        """Ask for a grant that another member of staff must approve; nothing is granted yet.

        Safe to repeat with the same `idempotency_key`. Raises as `grant`.
        """
        return approvals.request_grant(
            wallet_id_of(owner), credits, reason=reason, expires_at=expires_at, key=idempotency_key, by=requested_by
        )

    @staticmethod
    def approve_grant(request_id: int, *, approved_by: AbstractBaseUser, note: str = "") -> LedgerEntry:
        """Grant what another asked for, once. Raises SecondPersonRequired for who asked, GrantDecided,
        GrantRequestNotFound, and InvalidRequest where its expiry has passed meanwhile."""
        return approvals.approve(request_id, by=approved_by, note=note)

    @staticmethod
    def refuse_grant(request_id: int, *, refused_by: AbstractBaseUser, note: str) -> GrantRequest:
        """Say no to what another asked for, and why. Raises as `approve_grant`."""
        return approvals.refuse(request_id, by=refused_by, note=note)

    @staticmethod
    def spend(
        owner: Owner,
        credits: Credits | None = None,  # noqa: A002
        *,
        feature: str = "",
        units: int | None = None,
        tokens_in: int = 0,
        tokens_out: int = 0,
        idempotency_key: str | None = None,
        member: AbstractBaseUser | None = None,
        token: str = "",
        metadata: dict[str, Any] | None = None,
    ) -> Spent:
        """Take credits now: as many as `credits` says, or what `feature` costs for so many units or tokens.

        With both, the entry is filed under the feature and costs `credits`. `member` and `token` say who is spending,
        for caps and the record; an owner who is a user is the member. `metadata` is the app's own note (at most 4 KB).
        Safe to repeat with the same `idempotency_key`. Raises InsufficientCredits, SpendingCapReached,
        IdempotencyConflict, FeatureUnknown, or another RequestRefused.
        """
        use = Use(credits, feature, units, tokens_in, tokens_out)
        caller = _caller(owner, member, token)
        return spending.spend(wallet_id_of(owner), use, caller, key=idempotency_key, metadata=metadata)

    @staticmethod
    def spend_many(
        owner: Owner,
        uses: Iterable[Use | Mapping[str, Any]],
        *,
        idempotency_key: str | None = None,
        member: AbstractBaseUser | None = None,
        token: str = "",
    ) -> SpentMany:
        """Up to 1,000 uses at once, all or none, an entry each: `[{"credits": "0.5", "feature": "chat"}, …]`.

        Raises as `spend`; one key stands for all of them.
        """
        given = [_use(use) for use in uses]
        return spending.spend_many(wallet_id_of(owner), given, _caller(owner, member, token), key=idempotency_key)

    @staticmethod
    def reserve(
        owner: Owner,
        credits: Credits | None = None,  # noqa: A002
        *,
        feature: str = "",
        units: int | None = None,
        tokens_in: int = 0,
        tokens_out: int = 0,
        ttl_seconds: int | None = None,
        idempotency_key: str | None = None,
        member: AbstractBaseUser | None = None,
        token: str = "",
    ) -> Reserved:
        """Set credits aside for a call whose price is not known yet, for `ttl_seconds` (default: the settings').

            with AIBillingService.reserve(user, 5, feature="chat") as reservation:
                answer = ask_the_model()
                reservation.capture(tokens_out=answer.tokens)

        What is not captured by the end of the block is released. Without a block, call `capture` or `release`
        yourself; a reservation left alone expires. Safe to repeat with the same `idempotency_key`. Raises as `spend`.
        """
        use = Use(credits, feature, units, tokens_in, tokens_out)
        caller = _caller(owner, member, token)
        return reservations.reserve(wallet_id_of(owner), use, caller, ttl_seconds=ttl_seconds, key=idempotency_key)

    @staticmethod
    def capture(
        owner: Owner,
        reservation_id: int,
        credits: Credits | None = None,  # noqa: A002
        *,
        feature: str = "",
        units: int | None = None,
        tokens_in: int = 0,
        tokens_out: int = 0,
        idempotency_key: str | None = None,
        member: AbstractBaseUser | None = None,
        token: str = "",
        metadata: dict[str, Any] | None = None,
    ) -> Captured:
        """Charge what the call really cost, and let go of the rest of the reservation.

        Above what was reserved the wallet pays, and what it lacks becomes debt; an expired reservation is charged
        all the same, and the answer says so. The same capture again gets the first answer. Raises
        ReservationNotFound (another's is none), ReservationEnded, IdempotencyConflict, or a RequestRefused.
        """
        use = Use(credits, feature, units, tokens_in, tokens_out)
        caller = _caller(owner, member, token)
        return reservations.capture(
            wallet_id_of(owner), reservation_id, use, caller, key=idempotency_key, metadata=metadata
        )

    @staticmethod
    def release(owner: Owner, reservation_id: int) -> Decimal:
        """Let go of all of it; returns the balance. One that had expired stays as it is: its capture is still charged.

        Safe to repeat. Raises ReservationNotFound, ReservationEnded.
        """
        return reservations.release(wallet_id_of(owner), reservation_id)

    @staticmethod
    def renew(owner: Owner, reservation_id: int, ttl_seconds: int | None = None) -> datetime:
        """Keep it open until `ttl_seconds` from now; returns when that is. Raises as `release`, and InvalidRequest."""
        return reservations.renew(wallet_id_of(owner), reservation_id, ttl_seconds)

    @staticmethod
    def lease(
        owner: Owner,
        credits: Credits,  # noqa: A002
        *,
        feature: str = "",
        ttl_seconds: int | None = None,
        member: AbstractBaseUser | None = None,
        token: str = "",
    ) -> Lease:
        """A reservation that this process spends locally and writes in steps, for thousands of calls a second:

            with AIBillingService.lease(wallet, credits=100) as lease:
                lease.spend(0.5, feature="embed")

        Raises InsufficientCredits on entering. A process that dies has charged nothing that it had not used.
        """
        return Lease(wallet_id_of(owner), credits, feature, ttl_seconds, _caller(owner, member, token))

    @staticmethod
    def check_credits(
        owner: Owner,
        credits: Credits | None = None,  # noqa: A002
        *,
        feature: str = "",
        units: int | None = None,
        tokens_in: int = 0,
        tokens_out: int = 0,
    ) -> Availability:
        """Whether a spend of this would be paid now; nothing is taken or set aside. Raises a RequestRefused."""
        use = Use(credits, feature, units, tokens_in, tokens_out)
        return balances.check(wallet_id_of(owner), pricing.price(use).amount)

    @staticmethod
    def usage_stats(owner: Owner, days: int = 30) -> UsageStats:
        """What was used in the last `days` days (UTC, today included): in all, by feature, by day."""
        return usage.stats(wallet_id_of(owner), days)

    @staticmethod
    def statement(owner: Owner, *, before: int | None = None, limit: int = 50) -> list[LedgerEntry]:
        """The wallet's entries, newest first; for the next page give the last one's id as `before`.

        A page costs the same however long the history is. `limit` is at most 1,000. Raises InvalidRequest.
        """
        entries = LedgerEntry.objects.filter(wallet_id=wallet_id_of(owner)).select_related("purchase").order_by("-id")
        for name, value in (("before", 0 if before is None else before), ("limit", limit)):
            if type(value) is not int:
                raise InvalidRequest(fields={name: ["A whole number."]})
        if before is not None:
            entries = entries.filter(id__lt=before)
        return list(entries[: min(max(limit, 0), STATEMENT_MAX)])

    @staticmethod
    def set_cap(
        owner: Owner, scope: CapScope | str, subject: str, period: CapPeriod | str, limit: Credits | None
    ) -> None:
        """At most `limit` credits a day or month (UTC) for one token, member or feature; None lifts the cap.

        `subject` is the first 15 characters of the token, the member's user id, or the feature's code. What was used
        in the period before the cap was set does not count. Safe to repeat. Raises InvalidRequest, CreditsOutOfRange.
        """
        caps.set_cap(wallet_id_of(owner), scope, subject, period, limit)

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

        Raises PurchaseNotFound (another's is none), or a PaystackError while Paystack cannot be asked: after 8 seconds
        a PaystackTimeout.
        """
        return settlement.check_for_buyer(settlement.purchase_of(wallet_of(owner), reference))

    @staticmethod
    def refund(
        purchase: Purchase | str,
        amount: Decimal | int | str | None = None,
        *,
        reason: str,
        requested_by: AbstractBaseUser | None = None,
        idempotency_key: str | None = None,
        seen_refundable: Decimal | None = None,
    ) -> Refund:
        """Send a payment back, all that is left of it or `amount` major units; `purchase` or its reference.

        The credits that go with it leave the wallet now, and come back if the refund fails. Safe to repeat with the
        same `idempotency_key`. Must not be called inside a transaction. See `billing.refunds.start`.
        """
        reference = purchase if isinstance(purchase, str) else purchase.reference
        return refunds.start(
            reference,
            amount,
            reason=reason,
            requested_by=requested_by,
            key=idempotency_key,
            seen_refundable=seen_refundable,
        )

    @staticmethod
    def refundable(purchase: Purchase) -> Decimal:
        """What of its payment may still be sent back, in major units of the currency it was paid in."""
        return to_major(refund_moves.refundable_minor(purchase))

    @staticmethod
    def retry_refund(refund: Refund, *, account_number: str, bank_id: str) -> Refund:
        """Send a refund that needs attention to the payer's bank account. See `billing.refunds.retry`."""
        return refunds.retry(refund, account_number=account_number, bank_id=bank_id)

    @staticmethod
    def banks_for_refunds(currency: str) -> list[tuple[str, str]]:
        """Paystack's number and the name of each bank that a refund in this currency can be sent to."""
        banks = PaystackService.list_banks(currency=currency)
        return [(str(bank.raw["id"]), bank.name) for bank in banks if bank.active and bank.raw.get("id")]

    @staticmethod
    def bring_dispute_in_line(dispute: Dispute) -> Dispute:
        """Read it at Paystack and do what its state asks for. Safe to repeat."""
        return disputes.follow(PaystackService.fetch_dispute(int(dispute.paystack_id)))

    @staticmethod
    def bring_refunds_in_line(payment: Purchase | str) -> list[Refund]:
        """Read a payment's refunds at Paystack and make ours agree; returns those that changed. Safe to repeat."""
        return refunds.bring_in_line(payment)

    @staticmethod
    def review_items() -> QuerySet[ReviewItem]:
        """The payments that wait for a decision, oldest first."""
        return review.to_decide()

    @staticmethod
    def accept_review(
        item: ReviewItem | int,
        decided_by: AbstractBaseUser,
        note: str,
        *,
        owner: Owner | None = None,
        credits: Credits | None = None,  # noqa: A002
    ) -> ReviewItem:
        """The payment stays and is credited; `owner` and `credits` for one that belongs to no purchase.

        See `billing.review.accept`. A second decision raises ReviewDecided.
        """
        return review.accept(_id_of(item), decided_by, note, owner=owner, credits_=credits)

    @staticmethod
    def refund_review(item: ReviewItem | int, decided_by: AbstractBaseUser, note: str) -> ReviewItem:
        """Send the payment back. See `billing.review.refund`."""
        return review.refund(_id_of(item), decided_by, note)

    @staticmethod
    def dismiss_review(item: ReviewItem | int, decided_by: AbstractBaseUser, note: str) -> ReviewItem:
        """Leave the payment as it is."""
        return review.dismiss(_id_of(item), decided_by, note)

    @staticmethod
    def receive_webhook(body: bytes, signature: str | None, *, source_ip: str = "") -> WebhookEvent:
        """See `billing.webhooks.receive`."""
        return webhooks.receive(body, signature, source_ip=source_ip)

    @staticmethod
    def replay_webhook(event: WebhookEvent) -> WebhookEvent:
        """Process a recorded event again. Safe to repeat."""
        return webhooks.process(event)


def _use(use: Use | Mapping[str, Any]) -> Use:
    if isinstance(use, Use):
        return use
    try:
        return Use(**use)
    except TypeError as error:
        raise InvalidRequest(
            fields={"uses": ["Each has some of: credits, feature, units, tokens_in, tokens_out."]}
        ) from error


def _id_of(item: ReviewItem | int) -> int:
    return item if isinstance(item, int) else item.pk


def _caller(owner: Owner, member: AbstractBaseUser | None, token: str) -> Caller:
    if member is None and isinstance(owner, AbstractBaseUser):
        member = owner
    return Caller(None if member is None else member.pk, token)
