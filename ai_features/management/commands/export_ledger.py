from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from ai_features.billing import sealing
from ai_features.management.progress import ProgressBar


class Command(BaseCommand):
    help = (
        "Write all ledger entries and seals to a file that ai_features/evidence/verify_ledger.py checks on any "
        "machine. Apps' notes (metadata) are left out."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", metavar="FILE", type=Path, help="JSON lines; compressed if it ends in .gz.")

    def handle(self, *args: Any, file: Path, **options: Any) -> None:
        bar = ProgressBar(self.stderr, "entries")
        try:
            written = sealing.export(file, bar.show)
        except (OSError, sealing.EntriesNotFinalError) as error:
            raise CommandError(str(error)) from error
        finally:
            bar.clear()
        rest = written.entries - written.sealed
        self.stdout.write(f"Exported: {written.seals} seals, {written.sealed} sealed entries, {rest} not sealed yet.")
