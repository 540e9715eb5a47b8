"""A receipt by e-mail for each completed purchase, where the site wants it. Whatever comes of it, the credits stay."""

from __future__ import annotations

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.utils.translation import gettext as _
from django_tasks import task

from ai_features.billing import later
from ai_features.billing.packages import package_name
from ai_features.conf import ai_credits
from ai_features.models import Purchase, PurchaseStatus


def send_later(reference: str, status: str) -> None:
    """Queue the receipt of a purchase that has just been completed; after the commit. Raises nothing."""
    if status != PurchaseStatus.COMPLETED or not ai_credits().receipt_emails:
        return
    later.queue(send_receipt, reference, about={"reference": reference})


@task()
def send_receipt(reference: str) -> None:
    purchase = Purchase.objects.get(reference=reference)
    rules = ai_credits()
    context = {"purchase": purchase, "rules": rules, "package_name": package_name(purchase.package_code)}
    text, page = (render_to_string(f"ai_features/mail/receipt.{form}", context) for form in ("txt", "html"))
    subject = _("%(name)s: receipt %(reference)s") % {"name": rules.merchant_name, "reference": reference}
    mail = EmailMultiAlternatives(subject, text, settings.DEFAULT_FROM_EMAIL, [purchase.email])
    mail.attach_alternative(page, "text/html")
    mail.send()
