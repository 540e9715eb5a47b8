from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from ai_features.billing import sealing
from ai_features.management.progress import ProgressBar


class Command(BaseCommand):
    help = (
        "Seal the ledger entries that are not sealed yet into the chain of hashes, and print its head. Publish the "
        "head where those who can write this database cannot: it proves every entry before it."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--head", action="store_true", help="Seal nothing; print the head's hash alone.")
        parser.add_argument("--dry-run", action="store_true", help="Only say how many.")

    def handle(self, *args: Any, head: bool, dry_run: bool, **options: Any) -> None:
        if not head:
            self._seal(dry_run=dry_run)
        hash_ = sealing.head_hash()
        if head and hash_ is None:
            raise CommandError("Nothing is sealed yet.")
        if hash_ is not None:
            self.stdout.write(hash_ if head else f"Head: {hash_}")

    def _seal(self, *, dry_run: bool) -> None:
        bar = ProgressBar(self.stderr, "entries")
        try:
            sealed = sealing.seal_entries(bar.show, dry_run=dry_run)
        except sealing.EntriesNotFinalError as error:
            raise CommandError(str(error)) from error
        finally:
            bar.clear()
        verb = "Would be sealed" if dry_run else "Sealed"
        self.stdout.write(f"{verb}: {sealed.entries} entries, in seals: {sealed.seals}.")
