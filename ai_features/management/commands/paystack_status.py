from __future__ import annotations

import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from ai_features.billing import settlement, story
from ai_features.billing.story import Story
from ai_features.exceptions import PaystackError, PurchaseNotFound
from ai_features.management.operators import Operator, ask_who_and_why, operator_of
from ai_features.models import Purchase, SettledBy


class Command(BaseCommand):
    help = "The whole story of a payment's reference, in order, what Paystack says of it now, and what to do next."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("reference")
        parser.add_argument("--settle", action="store_true", help="Settle it first, if Paystack says that it is paid.")
        parser.add_argument("--offline", action="store_true", help="Don't ask Paystack.")
        parser.add_argument("--json", action="store_true", help="For programs.")
        ask_who_and_why(parser)

    def handle(self, *args: Any, reference: str, settle: bool, offline: bool, **options: Any) -> None:
        if not reference.isprintable() or len(reference) > 100:
            raise CommandError("A reference has at most 100 printable characters.")
        operator = operator_of(options)
        if settle:
            _settle(reference, operator)
        told = story.tell(reference, ask_paystack=not offline)
        self.stdout.write(_as_json(told) if options["json"] else _as_text(told))


def _settle(reference: str, operator: Operator) -> None:
    purchase = Purchase.objects.filter(reference=reference).first()
    if purchase is None:
        raise CommandError(PurchaseNotFound.default_message)
    try:
        settled = settlement.check(purchase, settled_by=SettledBy.STAFF)
    except PaystackError as error:
        raise CommandError(error.message) from error
    except ImproperlyConfigured as error:
        raise CommandError(str(error)) from error
    if not purchase.is_decided:
        operator.note(purchase, f"Paystack was asked: {purchase.status} → {settled.status}")


def _as_text(told: Story) -> str:
    lines = [told.reference, told.headline, ""]
    lines += [f"{timezone.localtime(step.at):%Y-%m-%d %H:%M:%S}  {step.what}" for step in told.steps]
    if told.paystack_says:
        lines += ["", f"Paystack now: {told.paystack_says}"]
    lines += ["", *(f"→ {step}" for step in told.next_steps)]
    return "\n".join(lines)


def _as_json(told: Story) -> str:
    return json.dumps(asdict(told), default=lambda moment: moment.isoformat(), indent=1, ensure_ascii=False)
