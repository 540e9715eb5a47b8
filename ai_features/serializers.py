"""What the API takes and gives. Credits and amounts are JSON numbers with at most 6 and 2 places."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from ai_features.billing.purchases import Quote
from ai_features.models import LedgerEntry, Purchase
from ai_features.money import to_credits, to_major


@extend_schema_field({"type": "number", "example": 145.5})
class CreditsField(serializers.ReadOnlyField):
    """Micro-credits in the model, credits in the answer."""

    def to_representation(self, value: int) -> Decimal:
        return to_credits(value)


@extend_schema_field({"type": "number", "example": 80.00})
class AmountField(serializers.ReadOnlyField):
    """The subunit in the model, major units in the answer."""

    def to_representation(self, value: int) -> Decimal:
        return to_major(value)


@extend_schema_field({"type": "number", "example": 145.5})
class NumberField(serializers.ReadOnlyField):
    """A Decimal as it is."""


class TokenRequest(serializers.Serializer[Any]):
    username = serializers.CharField(max_length=254)
    password = serializers.CharField(max_length=4096, trim_whitespace=False, style={"input_type": "password"})


class TokenAnswer(serializers.Serializer[Any]):
    token = serializers.CharField()


class PurchaseRequest(serializers.Serializer[Any]):
    package = serializers.CharField(max_length=40, help_text=_("A package's code, or `custom`."))
    custom_amount = serializers.DecimalField(
        max_digits=20, decimal_places=2, required=False, help_text=_("With `custom`: major units, before tax.")
    )
    payment_method = serializers.CharField(max_length=20, required=False, allow_blank=True, default="")
    callback_url = serializers.CharField(max_length=1000, required=False, allow_blank=True, default="")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["package"] == "custom" and "custom_amount" not in attrs:
            raise serializers.ValidationError({"custom_amount": _("Say how much, in major units.")})
        return attrs


class VerifyRequest(serializers.Serializer[Any]):
    """Paystack's redirect carries the same value under both names."""

    reference = serializers.CharField(max_length=100, required=False, allow_blank=True)
    trxref = serializers.CharField(max_length=100, required=False, allow_blank=True)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if not (attrs.get("reference") or attrs.get("trxref")):
            raise serializers.ValidationError({"reference": _("This field is required.")})
        return attrs


class TaxLineAnswer(serializers.Serializer[Any]):
    name = serializers.CharField()
    rate = NumberField()
    amount = AmountField(source="amount_minor")


class PackageAnswer(serializers.Serializer[Quote]):
    code = serializers.CharField(source="package_code")
    name = serializers.CharField()
    currency = serializers.CharField()
    price = AmountField(source="price_minor")
    tax = AmountField(source="tax_minor")
    total = AmountField(source="amount_minor")
    credits = CreditsField()
    bonus = CreditsField(source="bonus_credits")
    tax_lines = TaxLineAnswer(many=True)


class InvoiceTaxLine(serializers.Serializer[Any]):
    """As it was sold, from the purchase's own record."""

    name = serializers.CharField()
    rate = serializers.SerializerMethodField()
    amount = AmountField(source="amount_minor")

    @extend_schema_field({"type": "number"})
    def get_rate(self, line: dict[str, Any]) -> Decimal:
        return Decimal(line["rate"])


class InvoiceAnswer(serializers.ModelSerializer[Purchase]):
    package = serializers.CharField(source="package_code")
    price = AmountField(source="price_minor")
    tax = InvoiceTaxLine(source="tax_lines", many=True)
    total = AmountField(source="amount_minor")
    credits = CreditsField()
    bonus = CreditsField(source="bonus_credits")
    issued_at = serializers.DateTimeField(source="created_at")

    class Meta:
        model = Purchase
        fields = [
            "reference",
            "email",
            "package",
            "currency",
            "price",
            "tax",
            "total",
            "credits",
            "bonus",
            "issued_at",
        ]


class StartedPurchaseAnswer(serializers.ModelSerializer[Purchase]):
    amount = AmountField(source="amount_minor")
    credits_to_add = CreditsField(source="total_credits")
    invoice = InvoiceAnswer(source="*")

    class Meta:
        model = Purchase
        fields = ["authorization_url", "access_code", "reference", "amount", "currency", "credits_to_add", "invoice"]


class VerifyAnswer(serializers.Serializer[Any]):
    status = serializers.ChoiceField(
        ["success", "pending", "failed", "abandoned", "review", "partially_refunded", "refunded"]
    )
    message = serializers.CharField()
    reference = serializers.CharField()
    credits_added = NumberField()
    new_balance = NumberField()


class PurchaseAnswer(serializers.ModelSerializer[Purchase]):
    package = serializers.CharField(source="package_code")
    amount = AmountField(source="amount_minor")
    refunded = AmountField(source="refunded_minor", help_text=_("What Paystack has sent back."))
    credits = CreditsField()
    bonus = CreditsField(source="bonus_credits")

    class Meta:
        model = Purchase
        fields = [
            "reference",
            "status",
            "status_reason",
            "package",
            "amount",
            "refunded",
            "currency",
            "credits",
            "bonus",
            "payment_method",
            "channel",
            "created_at",
            "completed_at",
        ]


class EntryAnswer(serializers.ModelSerializer[LedgerEntry]):
    credits = CreditsField(source="amount")
    debt_change = CreditsField()
    balance_after = CreditsField()
    reference = serializers.CharField(source="purchase.reference", default=None, allow_null=True)

    class Meta:
        model = LedgerEntry
        fields = [
            "id",
            "kind",
            "credits",
            "debt_change",
            "balance_after",
            "feature",
            "reference",
            "reason",
            "created_at",
        ]


class ExpiringAnswer(serializers.Serializer[Any]):
    credits = NumberField()
    expires_at = serializers.DateTimeField()


class BalanceAnswer(serializers.Serializer[Any]):
    balance = NumberField()
    held = NumberField()
    available = NumberField(help_text=_("What can be spent now."))
    debt = NumberField(help_text=_("Used without being there; paid first from the next credits."))
    expiring = ExpiringAnswer(many=True)


class PaymentOptionAnswer(serializers.Serializer[Any]):
    name = serializers.CharField()
    code = serializers.CharField()


class PaymentMethodsAnswer(serializers.Serializer[Any]):
    currency = serializers.CharField()
    payment_methods = serializers.ListField(child=serializers.CharField())
    mobile_money_providers = PaymentOptionAnswer(many=True)
    banks = PaymentOptionAnswer(many=True)


class UseRequest(serializers.Serializer[Any]):
    """`credits` outright, or a `feature` by its price."""

    credits = serializers.DecimalField(
        max_digits=19, decimal_places=6, coerce_to_string=False, required=False, help_text=_("More than 0.")
    )
    feature = serializers.CharField(max_length=60, required=False)
    units = serializers.IntegerField(min_value=0, required=False)
    tokens_in = serializers.IntegerField(min_value=0, required=False)
    tokens_out = serializers.IntegerField(min_value=0, required=False)
    metadata = serializers.DictField(required=False, help_text=_("Your own note on the call, at most 4 KB."))


class ReserveRequest(UseRequest):
    ttl_seconds = serializers.IntegerField(min_value=1, max_value=86400, required=False)


class RenewRequest(serializers.Serializer[Any]):
    ttl_seconds = serializers.IntegerField(min_value=1, max_value=86400, required=False)


class NewBalanceAnswer(serializers.Serializer[Any]):
    new_balance = NumberField()


class SpentAnswer(NewBalanceAnswer):
    entry = serializers.IntegerField(help_text=_("The ledger entry's id."))


class ReservedAnswer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    credits = NumberField()
    expires_at = serializers.DateTimeField()


class CapturedAnswer(SpentAnswer):
    credits = NumberField()
    was_expired = serializers.BooleanField(help_text=_("The reservation had run out; the wallet paid."))


class RenewedAnswer(serializers.Serializer[Any]):
    expires_at = serializers.DateTimeField()


class AvailabilityRequest(serializers.Serializer[Any]):
    feature = serializers.CharField(max_length=60, required=False)
    credits = serializers.CharField(max_length=40, required=False)
    units = serializers.IntegerField(min_value=0, required=False)
    tokens_in = serializers.IntegerField(min_value=0, required=False)
    tokens_out = serializers.IntegerField(min_value=0, required=False)


class AvailabilityAnswer(serializers.Serializer[Any]):
    has_sufficient_credits = serializers.BooleanField()
    current_balance = NumberField()
    required_credits = NumberField()
    shortage = NumberField()


class PageRequest(serializers.Serializer[Any]):
    page_size = serializers.IntegerField(min_value=1, required=False)


class UsageRequest(serializers.Serializer[Any]):
    days = serializers.IntegerField(min_value=1, max_value=366, required=False)


class FeatureUsageAnswer(serializers.Serializer[Any]):
    feature = serializers.CharField()
    credits = NumberField()
    calls = serializers.IntegerField()


class DayUsageAnswer(serializers.Serializer[Any]):
    day = serializers.DateField()
    credits = NumberField()
    calls = serializers.IntegerField()


class UsageAnswer(serializers.Serializer[Any]):
    days = serializers.IntegerField()
    credits = NumberField()
    calls = serializers.IntegerField()
    by_feature = FeatureUsageAnswer(many=True)
    by_day = DayUsageAnswer(many=True)


class ErrorAnswer(serializers.Serializer[Any]):
    error = serializers.CharField(help_text=_("A stable code."))
    message = serializers.CharField(help_text=_("What to do about it."))


class InsufficientAnswer(ErrorAnswer):
    current_balance = NumberField()
    required_credits = NumberField()
    shortage = NumberField()
    buy_url = serializers.CharField()
