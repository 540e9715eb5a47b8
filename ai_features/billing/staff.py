"""Telling the staff, by e-mail to `STAFF_EMAILS`, of what waits for them. Hosts with other ways use the signals."""

from __future__ import annotations

from django.conf import settings
from django.core.mail import send_mail
from django.utils.translation import gettext as _
from django_tasks import task

from ai_features.billing import later
from ai_features.conf import ai_credits
from ai_features.models import Dispute, Refund, ReviewItem
from ai_features.money import to_major


def tell_of_dispute(dispute: Dispute) -> None:
    until = _("no date given") if dispute.due_at is None else f"{dispute.due_at:%Y-%m-%d %H:%M} UTC"
    about = {"reference": dispute.purchase.reference, "until": until}
    _tell(
        dispute.purchase.reference,
        _("Dispute about %(reference)s: answer by %(until)s") % about,
        _(
            "The payer disputes this payment at the bank. Answer it in Paystack's dashboard; without an answer by then "
            "it is accepted for you. What was left of its credits is frozen until it is resolved."
        ),
    )


def tell_of_refund(refund: Refund) -> None:
    about = {"reference": refund.reference, "amount": f"{refund.currency} {to_major(refund.amount_minor)}"}
    _tell(
        refund.reference,
        _("The refund of %(amount)s for %(reference)s needs the payer's account") % about,
        _(
            "Paystack could not send the money back the way it came. Ask the payer for a bank account, and send the "
            "refund again from its page in the admin."
        ),
    )


def tell_of_review(item: ReviewItem) -> None:
    about = {"reference": item.reference, "why": item.get_kind_display()}
    _tell(item.reference, _("Payment %(reference)s is to be reviewed: %(why)s") % about, item.explanation)


def _tell(reference: str, subject: str, text: str) -> None:
    addresses = ai_credits().staff_emails
    if addresses:
        subject = f"{ai_credits().merchant_name}: {subject}"
        later.queue(send_to_staff, list(addresses), subject, text, about={"reference": reference})


@task()
def send_to_staff(addresses: list[str], subject: str, text: str) -> None:
    send_mail(subject, text, settings.DEFAULT_FROM_EMAIL, addresses)
