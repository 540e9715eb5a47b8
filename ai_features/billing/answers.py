"""What Paystack answers about a purchase, kept for whoever asks later why it stands where it stands."""

from __future__ import annotations

from django.db.models import F
from django.utils import timezone

from ai_features.exceptions import PaystackError
from ai_features.models import PaystackAnswer, Purchase, SettledBy
from ai_features.paystack import Transaction


def note_answer(purchase: Purchase, asked_by: SettledBy, answer: Transaction | PaystackError) -> None:
    """One row for each asker and answer, however often it comes: a page that looks every 3 seconds fills no table."""
    word = answer.status if isinstance(answer, Transaction) else answer.code
    now = timezone.now()
    row = PaystackAnswer(purchase=purchase, asked_by=asked_by, answer=word, first_at=now, last_at=now)
    same = PaystackAnswer.objects.filter(purchase=purchase, asked_by=asked_by, answer=word)
    if not same.update(times=F("times") + 1, last_at=now):
        PaystackAnswer.objects.bulk_create([row], ignore_conflicts=True)
