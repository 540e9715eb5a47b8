"""Everything that can happen to two wallets, in any order, beside the model that says what should."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import time_machine
from django.conf import settings as django_settings
from django.contrib.auth import get_user_model
from django.test import override_settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)

from ai_features.billing import AIBillingService, Use, redaction, settlement, usage
from ai_features.exceptions import AICreditsError
from ai_features.models import FeaturePrice, LedgerEntry, Purchase, SettledBy
from ai_features.paystack import Transaction
from tests.ai_features.billing.model import (
    MOST,
    Asked,
    Caller,
    LeaseModel,
    Prices,
    Refused,
    WalletModel,
    credits_of,
)
from tests.ai_features.billing.rows import ENTRIES, LATE, RESERVATIONS, WALLET, left_in_lots, moment, read_moment, rows

START = datetime(2026, 1, 30, 22, 59, 30, tzinfo=UTC)
FEATURES = ("chat", "image", "embed")
_numbers = count()

micro = st.one_of(st.integers(1, 40).map(lambda quarters: quarters * 250_000), st.sampled_from([1, 999_999]))
features = st.sampled_from(["", *FEATURES])
uses = st.one_of(
    st.builds(Asked, micro, features),
    st.builds(Asked, st.none(), st.sampled_from(FEATURES), st.sampled_from([0, 1, 700])),
)
keys = st.one_of(st.none(), st.sampled_from(["a", "b", "c"]))
which = st.sampled_from([0, 0, 0, 0, 0, 1])
lives = st.sampled_from([None, 20, 60, 3600, 86_400])
ttls = st.sampled_from([1, 20, 60, 3600])
seconds = st.sampled_from([0.5, 1, 7, 19, 61, 1800, 3600, 90_000])
notes = st.sampled_from([None, {"model": "x"}])
members = st.sampled_from([0, 1])
tokens = st.sampled_from(["", "tok"])


class CreditEngine(RuleBasedStateMachine):
    reservations = Bundle("reservations")
    leases = Bundle("leases")
    purchases = Bundle("purchases")
    repeatable = Bundle("repeatable")

    def __init__(self) -> None:
        super().__init__()
        self.travel = time_machine.travel(START, tick=False)
        self.clock = self.travel.start()
        number = next(_numbers)
        self.users = [get_user_model().objects.create_user(f"user-{number}-{n}") for n in (0, 1)]
        self.wallets = [AIBillingService.wallet(self.users[0]), AIBillingService.wallet(f"team-{number}")]
        self.prices = Prices({})
        self.models = [WalletModel(START, self.prices) for _ in self.wallets]
        for feature in FEATURES:
            FeaturePrice.objects.filter(code=feature).delete()

    def teardown(self) -> None:
        try:
            self.look(0)
            self.look(1)
        finally:
            self.travel.stop()

    # Both answer, and the answers are the same

    def both(self, app: Callable[[], Any], model: Callable[[], Any]) -> Any:
        """What the model answers; None where both refused, for the same reason and with the same figures."""
        expected, refusal = answer_or_refusal(model)
        found, refused = answer_or_refusal(app)
        assert refused == refusal, f"{found} where the model says {expected}"
        return None if refusal else (found, expected)

    def entry(self, wallet: int, position: int) -> int:
        """The id of that entry of the wallet's."""
        ids = LedgerEntry.objects.filter(wallet=self.wallets[wallet]).order_by("id").values_list("id", flat=True)
        return int(ids[position])

    def caller(self, wallet: int, member: int, token: str) -> tuple[dict[str, Any], Caller]:
        person = self.users[member]
        return {"member": person, "token": token}, Caller(person.pk, token)

    # Credits in

    @initialize()
    def start_with_credits(self) -> None:
        for wallet in (0, 1):
            self.grant(wallet, 20_000_000, None, None)
        for feature, price in (("chat", (250_000, 2_000_000)), ("image", (3_000_000, 0))):
            self.set_price(feature, price)

    @rule(wallet=which, amount=micro, life=lives, key=keys)
    def grant(self, wallet: int, amount: int, life: int | None, key: str | None) -> None:
        until = None if life is None else self.models[wallet].now + timedelta(seconds=life)

        def app() -> LedgerEntry:
            return AIBillingService.grant(
                self.wallets[wallet], credits_of(amount), reason="trial", expires_at=until, idempotency_key=key
            )

        if done := self.both(app, lambda: self.models[wallet].grant(amount, until, key)):
            entry, position = done
            assert entry.pk == self.entry(wallet, position)

    def grant_more_than_fits(self, wallet: int) -> None:
        if self.models[wallet].balance:
            self.both(
                lambda: AIBillingService.grant(self.wallets[wallet], credits_of(MOST), reason="too much"),
                lambda: self.models[wallet].grant(MOST, None, None),
            )

    @rule(
        target=purchases,
        wallet=which,
        amount=micro,
        bonus=st.sampled_from([0, 1_000_000]),
        days=st.sampled_from([1, None]),
    )
    def start_purchase(self, wallet: int, amount: int, bonus: int, days: int | None) -> Any:
        purchase = Purchase.objects.create(
            reference=f"AI-CREDIT-{next(_numbers)}",
            wallet=self.wallets[wallet],
            buyer=self.users[0],
            email="ama@example.com",
            mode="test",
            package_code="any",
            currency="GHS",
            price_minor=8000,
            amount_minor=8000,
            credits=amount,
            bonus_credits=bonus,
        )
        return {"wallet": wallet, "purchase": purchase, "days": days, "is_open": True}

    @rule(one=purchases, paid_minor=st.sampled_from([8000, 8000, 8000, 7999]), by_webhook=st.booleans())
    def settle(self, one: dict[str, Any], paid_minor: int, by_webhook: bool) -> None:
        """Again and again, and for too little: credits come once, or staff has to look."""
        purchase, model = one["purchase"], self.models[one["wallet"]]
        data = {"reference": purchase.reference, "status": "success", "amount": paid_minor, "currency": "GHS"}
        data["domain"] = "test"
        with override_settings(AI_CREDITS={**django_settings.AI_CREDITS, "CREDITS_EXPIRE_DAYS": one["days"]}):
            if by_webhook:
                body = json.dumps({"event": "charge.success", "data": data}).encode()
                signature = hmac.new(django_settings.PAYSTACK_SECRET_KEY.encode(), body, hashlib.sha512).hexdigest()
                AIBillingService.receive_webhook(body, signature)
            else:
                settlement.settle(purchase.reference, Transaction.from_payload(data), settled_by=SettledBy.RECONCILE)
        if one["is_open"]:
            one["is_open"] = False
            if paid_minor == 8000:
                until = None if one["days"] is None else model.now + timedelta(days=one["days"])
                model.settle(purchase.credits, purchase.bonus_credits, until, purchase.reference)

    # Credits out

    @rule(target=repeatable, wallet=which, asked=uses, key=keys, member=members, token=tokens, note=notes)
    def spend(self, wallet: int, asked: Asked, key: str | None, member: int, token: str, note: Any) -> Any:
        who, caller = self.caller(wallet, member, token)

        def call() -> None:
            done = self.both(
                lambda: AIBillingService.spend(
                    self.wallets[wallet], **as_keywords(asked), **who, idempotency_key=key, metadata=note
                ),
                lambda: self.models[wallet].spend(asked, caller, key, note),
            )
            if done:
                spent, (position, cost, balance) = done
                assert spent.entry == self.entry(wallet, position)
                assert (spent.credits, spent.new_balance) == (credits_of(cost), credits_of(balance))

        call()
        return call

    @rule(
        target=repeatable,
        wallet=which,
        several=st.lists(uses, min_size=1, max_size=4),
        key=keys,
        member=members,
        token=tokens,
    )
    def spend_many(self, wallet: int, several: list[Asked], key: str | None, member: int, token: str) -> Any:
        who, caller = self.caller(wallet, member, token)

        def call() -> None:
            done = self.both(
                lambda: AIBillingService.spend_many(
                    self.wallets[wallet], [as_use(asked) for asked in several], **who, idempotency_key=key
                ),
                lambda: self.models[wallet].spend_many(several, caller, key),
            )
            if done:
                spent, (positions, cost, balance) = done
                assert list(spent.entries) == [self.entry(wallet, position) for position in positions]
                assert (spent.credits, spent.new_balance) == (credits_of(cost), credits_of(balance))

        call()
        return call

    @rule(target=reservations, wallet=which, asked=uses, ttl=ttls, key=keys, member=members, token=tokens)
    def reserve(self, wallet: int, asked: Asked, ttl: int, key: str | None, member: int, token: str) -> Any:
        who, caller = self.caller(wallet, member, token)
        done = self.both(
            lambda: AIBillingService.reserve(
                self.wallets[wallet], **as_keywords(asked), **who, ttl_seconds=ttl, idempotency_key=key
            ),
            lambda: self.models[wallet].reserve(asked, ttl, caller, key),
        )
        if not done:
            return multiple()
        reserved, (model, cost, until) = done
        assert (reserved.credits, reserved.expires_at) == (credits_of(cost), until)
        assert model.answer.setdefault("id", reserved.id) == reserved.id
        return {"wallet": wallet, "id": reserved.id, "model": model}

    @rule(target=repeatable, one=reservations, asked=uses, key=keys, member=members, token=tokens, note=notes)
    def capture(self, one: dict[str, Any], asked: Asked, key: str | None, member: int, token: str, note: Any) -> Any:
        return self._capture(one, asked, key, self.caller(one["wallet"], member, token), note)

    @rule(target=repeatable, one=reservations, extra=st.sampled_from([-250_000, 0, 0, 250_000, 30_000_000]), key=keys)
    def capture_about_all(self, one: dict[str, Any], extra: int, key: str | None) -> Any:
        amount = max(one["model"].credits + extra, 1)
        asked = Asked(amount, one["model"].feature)
        return self._capture(one, asked, key, self.caller(one["wallet"], 0, ""), None)

    def _capture(self, one: dict[str, Any], asked: Asked, key: str | None, who: Any, note: Any) -> Callable[[], None]:
        wallet, (person, caller) = one["wallet"], who

        def call() -> None:
            done = self.both(
                lambda: AIBillingService.capture(
                    self.wallets[wallet], one["id"], **as_keywords(asked), **person, idempotency_key=key, metadata=note
                ),
                lambda: self.models[wallet].capture(one["model"], one["id"], asked, caller, key, note),
            )
            if done:
                captured, (position, cost, balance, was_expired) = done
                assert captured.entry == self.entry(wallet, position)
                assert (captured.credits, captured.new_balance) == (credits_of(cost), credits_of(balance))
                assert captured.was_expired == was_expired

        call()
        return call

    @rule(target=reservations, wallet=which, kept=micro, more=micro, ttl=ttls)
    def owe(self, wallet: int, kept: int, more: int, ttl: int) -> Any:
        """What one call cost was more than there is, while another's credits are set aside."""
        set_aside = self.reserve(wallet, Asked(kept), ttl, None, 0, "")
        call = self.reserve(wallet, Asked(250_000), 60, None, 0, "")
        if isinstance(call, dict):
            amount = max(0, self.models[wallet].available) + 250_000 + more
            self._capture(call, Asked(amount), None, self.caller(wallet, 0, ""), None)
        return set_aside

    @rule(target=reservations, wallet=which, amount=micro, several=st.lists(ttls, min_size=1, max_size=3))
    def reserve_what_expires(self, wallet: int, amount: int, several: list[int]) -> Any:
        self.grant(wallet, amount, 20, None)
        made = [self.reserve(wallet, Asked(250_000), 3 * ttl, None, 0, "") for ttl in several]
        return multiple(*(one for one in made if isinstance(one, dict)))

    @rule(one=reservations)
    def release(self, one: dict[str, Any]) -> None:
        wallet = one["wallet"]
        if done := self.both(
            lambda: AIBillingService.release(self.wallets[wallet], one["id"]),
            lambda: self.models[wallet].release(one["model"]),
        ):
            assert done[0] == credits_of(done[1])

    @rule(one=reservations, ttl=ttls)
    def renew(self, one: dict[str, Any], ttl: int) -> None:
        wallet = one["wallet"]
        if done := self.both(
            lambda: AIBillingService.renew(self.wallets[wallet], one["id"], ttl),
            lambda: self.models[wallet].renew(one["model"], ttl),
        ):
            assert done[0] == done[1]

    def anothers_reservation_is_none(self, one: dict[str, Any], asked: Asked) -> None:
        def model() -> None:
            self.prices.cost(asked)
            raise Refused("reservation_not_found")

        other = self.wallets[1 - one["wallet"]]
        self.both(lambda: AIBillingService.capture(other, one["id"], **as_keywords(asked)), model)

    @rule(call=repeatable)
    def repeat(self, call: Callable[[], None]) -> None:
        call()

    # Leases

    @rule(target=leases, wallet=which, step=micro, feature=features, ttl=ttls, token=tokens)
    def open_lease(self, wallet: int, step: int, feature: str, ttl: int, token: str) -> Any:
        who, caller = self.caller(wallet, 0, token)
        lease = AIBillingService.lease(self.wallets[wallet], credits_of(step), feature=feature, ttl_seconds=ttl, **who)
        model = LeaseModel(self.models[wallet], step, feature, ttl, caller)
        return (lease, model) if self.both(lease.__enter__, lambda: model.enter() or True) else multiple()

    @rule(both=leases, several=st.lists(uses, min_size=1, max_size=4))
    def spend_from_lease(self, both: Any, several: list[Asked]) -> None:
        lease, model = both
        for asked in several:
            asked = asked if asked.feature else Asked(asked.micro, model.feature)  # noqa: PLW2901
            self.both(lambda: lease.spend(**as_keywords(asked)), lambda: model.spend(asked))  # noqa: B023

    @rule(both=leases)
    def flush_lease(self, both: Any) -> None:
        self.both(both[0].flush, both[1].flush)

    @rule(both=consumes(leases))
    def close_lease(self, both: Any) -> None:
        self.both(both[0].close, both[1].close)

    # Rules, prices, time

    @rule(
        wallet=which,
        cap=st.sampled_from([("feature", "image"), ("feature", "chat"), ("member", ""), ("token", "tok")]),
        period=st.sampled_from(["day", "month"]),
        limit=st.one_of(st.none(), micro),
    )
    def set_cap(self, wallet: int, cap: tuple[str, str], period: str, limit: int | None) -> None:
        scope, subject = cap[0], cap[1] or str(self.users[0].pk)
        AIBillingService.set_cap(
            self.wallets[wallet], scope, subject, period, None if limit is None else credits_of(limit)
        )
        self.models[wallet].set_cap(scope, subject, period, limit)

    @rule(feature=st.sampled_from(FEATURES), price=st.sampled_from([None, (250_000, 2_000_000), (1_000_000, 1)]))
    def set_price(self, feature: str, price: tuple[int, int] | None) -> None:
        FeaturePrice.objects.filter(code=feature).delete()
        self.prices.of.pop(feature, None)
        if price is not None:
            FeaturePrice.objects.create(code=feature, per_call=price[0], per_1000_tokens_out=price[1])
            self.prices.of[feature] = price

    @rule(later=seconds)
    def wait(self, later: float) -> None:
        self._move_to(self.models[0].now + timedelta(seconds=later))

    @precondition(lambda self: any(model.coming() for model in self.models))
    @rule(data=st.data(), offset=st.sampled_from([-1, 0, 0, 1]))
    def wait_for_what_comes(self, data: Any, offset: int) -> None:
        moment = data.draw(st.sampled_from(sorted(m for model in self.models for m in model.coming())[:4]))
        self._move_to(max(moment + timedelta(microseconds=offset), self.models[0].now))

    def _move_to(self, now: datetime) -> None:
        self.clock.move_to(now)
        for model in self.models:
            model.move_to(now)

    def redact(self) -> None:
        before = self.models[0].now - timedelta(seconds=60)
        redaction.redact_metadata(before)
        for model in self.models:
            model.redact(before)

    def roll_up_usage(self, wallet: int) -> None:
        usage.roll_up(self.wallets[wallet].pk)

    @rule(
        what=st.sampled_from(["too much", "stranger", "redact", "roll up", "check", "look"]), wallet=which, asked=uses
    )
    def do_something_else(self, what: str, wallet: int, asked: Asked) -> None:
        """One rule for all that changes little, so that the others come more often."""
        match what:
            case "too much":
                self.grant_more_than_fits(wallet)
            case "stranger":
                for one in [one for one in self.models[wallet].reservations if "id" in one.answer][:1]:
                    self.anothers_reservation_is_none({"wallet": wallet, "id": one.answer["id"]}, asked)
            case "redact":
                self.redact()
            case "roll up":
                self.roll_up_usage(wallet)
            case "check":
                self.check(wallet, asked)
            case "look":
                self.look(wallet)

    # What is there

    def look(self, wallet: int) -> None:
        """Looking brings a wallet up to date, so it is not done after each step."""
        model = self.models[wallet]
        now = AIBillingService.balance(self.wallets[wallet])
        assert now.balance == credits_of(model.balance)
        assert now.held == credits_of(model.held)
        assert now.available == credits_of(model.available)
        assert now.debt == credits_of(model.debt)
        assert [(one.credits, one.expires_at) for one in now.expiring] == model.expiring
        self._compare_rows(self.wallets[wallet].pk, model)
        midnight = model.now.replace(hour=0, minute=0, second=0, microsecond=0)
        stats = AIBillingService.usage_stats(self.wallets[wallet], 1)
        assert {one.feature: (one.credits, one.calls) for one in stats.by_feature} == model.used_by_feature(midnight)

    def check(self, wallet: int, asked: Asked) -> None:
        done = self.both(
            lambda: AIBillingService.check_credits(self.wallets[wallet], **as_keywords(asked)),
            lambda: self.models[wallet].check(asked),
        )
        if done:
            found, (suffices, *figures) = done
            assert found.has_sufficient_credits is suffices
            assert [found.current_balance, found.required_credits, found.shortage] == [credits_of(m) for m in figures]

    @invariant()
    def rows_are_as_the_model_says(self) -> None:
        """Where nothing has fallen due that nobody has done yet."""
        for wallet, model in zip(self.wallets, self.models, strict=True):
            (late,) = rows(LATE, wallet.pk, moment(model.now))[0]
            (next_expiry,) = rows("SELECT next_expiry_at FROM ai_features_wallet WHERE id = %s", wallet.pk)[0]
            if not late and read_moment(next_expiry) > model.now:
                self._compare_rows(wallet.pk, model)

    def _compare_rows(self, wallet_id: int, model: WalletModel) -> None:
        assert rows(f"SELECT balance, held, debt FROM {WALLET} WHERE id = %s", wallet_id) == [
            (model.balance, model.held, model.debt)
        ]
        assert left_in_lots(wallet_id) == [lot.left for lot in model.lots]
        assert [[*row, metadata is not None] for *row, metadata in rows(ENTRIES, wallet_id)] == [
            [
                *(one.kind, one.amount, one.debt_change, one.balance_after),
                *(one.feature, one.caller.member, one.reference, one.metadata is not None),
            ]
            for one in model.entries
        ]
        assert rows(RESERVATIONS, wallet_id) == [
            (one.status, one.credits, one.charged, one.kept) for one in model.reservations
        ]


def answer_or_refusal(call: Callable[[], Any]) -> tuple[Any, Any]:
    try:
        return call(), None
    except Refused as refused:
        return None, (refused.code, refused.details)
    except AICreditsError as error:
        return None, (error.code, error.details())


def as_keywords(asked: Asked) -> dict[str, Any]:
    credits_ = None if asked.micro is None else credits_of(asked.micro)
    return {"credits": credits_, "feature": asked.feature, "tokens_out": asked.tokens_out}


def as_use(asked: Asked) -> Use:
    return Use(None if asked.micro is None else credits_of(asked.micro), asked.feature, None, 0, asked.tokens_out)
