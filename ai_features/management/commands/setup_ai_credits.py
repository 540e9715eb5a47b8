from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError

from ai_features.billing import setup
from ai_features.billing.rehearsal import rehearsal
from ai_features.exceptions import AICreditsError, IdempotencyConflict
from ai_features.management.operators import Operator, ask_who_and_why, operator_of
from ai_features.management.owners import owner_called
from ai_features.management.refusals import in_words
from ai_features.models import FeaturePrice
from ai_features.money import to_credits, to_major
from ai_features.paystack import PaystackService


class Command(BaseCommand):
    help = "Packages, prices of features and test grants for a new installation, and what its wallets hold. Repeatable."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--feature", action="append", default=[], metavar="CODE=CREDITS", help="Price of one call.")
        parser.add_argument(
            "--grant", action="append", default=[], metavar="USERNAME=CREDITS", help="Once for each user or team."
        )
        parser.add_argument("--live", action="store_true", help="Grant even though the key is a live one.")
        parser.add_argument("--dry-run", action="store_true", help="Say what would be there, and undo it.")
        ask_who_and_why(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        if options["grant"] and not options["live"] and is_live():
            raise CommandError("The key is a live one: these credits would be real. Give --live if they should be.")
        operator = operator_of(options)
        try:
            with rehearsal(options["dry_run"]):
                self._set_up(options, operator)
        except AICreditsError as error:
            raise in_words(error) from error
        if options["dry_run"]:
            self.stdout.write("Nothing of this was kept.")

    def _set_up(self, options: dict[str, Any], operator: Operator) -> None:
        for package in setup.packages():
            credits_ = to_credits(package.credits + package.bonus_credits)
            price = f"{package.currency} {to_major(package.price_minor)}"
            self.stdout.write(f"Package {package.code}: {credits_:f} credits for {price}")
        for code, per_call in map(pair, options["feature"]):
            _set_price(code, per_call, operator)
        for feature in setup.features():
            self.stdout.write(f"Feature {feature.code}: {to_credits(feature.per_call):f} credits a call")
        for name, granted in map(pair, options["grant"]):
            try:
                setup.grant_once(owner_called(name), granted, granted_by=operator.staff)
            except IdempotencyConflict as error:
                raise CommandError(f"{name} has had its test grant, of another number: use grant_credits.") from error
            self.stdout.write(f"Grant {name}: {granted} credits")
        totals = setup.totals()
        figures = f"balance {totals.balance:f}, held {totals.held:f}, debt {totals.debt:f}"
        self.stdout.write(f"Wallets: {totals.wallets} with {figures}")


def _set_price(code: str, per_call: str, operator: Operator) -> None:
    before = FeaturePrice.objects.filter(code=code).first()
    price = setup.set_price(code, per_call)
    if before is None:
        operator.note(price, f"per call {to_credits(price.per_call):f}")
    elif before.per_call != price.per_call:
        operator.note(price, f"per call {to_credits(before.per_call):f} → {to_credits(price.per_call):f}")


def pair(word: str) -> tuple[str, str]:
    name, _, credits_ = word.rpartition("=")
    if not name or not credits_:
        raise CommandError(f"{word} should be a name, = and a number of credits.")
    return name, credits_


def is_live() -> bool:
    try:
        return PaystackService.from_settings().mode == "live"
    except ImproperlyConfigured:
        return False
