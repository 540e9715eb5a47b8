from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from ai_features.billing import AIBillingService
from ai_features.management.operators import ask_who_and_why, operator_of
from ai_features.models import EventStatus, WebhookEvent


class Command(BaseCommand):
    help = "Process recorded webhook events again: those that failed or were never finished, or the ones named."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("ids", nargs="*", type=int, help="Ids of events; without any, all that are not done.")
        parser.add_argument("--dry-run", action="store_true", help="Only say which.")
        ask_who_and_why(parser)

    def handle(self, *args: Any, ids: list[int], dry_run: bool, **options: Any) -> None:
        operator = operator_of(options)
        open_ones = {"status__in": [EventStatus.RECEIVED, EventStatus.FAILED]}
        events = WebhookEvent.objects.filter(**({"pk__in": ids} if ids else open_ones)).order_by("pk")
        failed = 0
        # Not by one long read: a cursor on the server would not outlive the transactions of a pooler.
        for event_id in list(events.values_list("pk", flat=True)):
            event = events.filter(pk=event_id).first()
            if event is None:
                # Done meanwhile, by somebody else.
                continue
            if not dry_run:
                before = event.status
                failed += AIBillingService.replay_webhook(event).status == EventStatus.FAILED
                operator.note(event, f"Processed again: {before} → {event.status} {event.outcome}".strip())
            self.stdout.write(f"{event.pk} {event} {event.status} {event.outcome}".rstrip())
        if failed:
            raise CommandError(f"{failed} failed again; their errors are in the admin.")
