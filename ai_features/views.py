"""The JSON API under `/ai/`. Each view reads its input, calls `AIBillingService`, and shapes the answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

from django.contrib.auth import authenticate
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.cache import cache
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import NoReverseMatch, reverse
from django.utils.decorators import method_decorator
from django.utils.http import url_has_allowed_host_and_scheme, urlencode
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from drf_spectacular.utils import OpenApiParameter, extend_schema
from knox.models import get_token_model
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.generics import ListAPIView
from rest_framework.permissions import AllowAny, BasePermission, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from ai_features import errors, logins, serializers
from ai_features.authentication import TokenAuthentication
from ai_features.billing import AIBillingService, balances, reservations, settlement, spending
from ai_features.conf import PAYMENT_METHODS, ai_credits
from ai_features.exceptions import (
    AICreditsError,
    CallbackUrlRefused,
    InsufficientCredits,
    RequestRefused,
)
from ai_features.inputs import currency_in, read, use_of, whole_number
from ai_features.lean import Asked, Asker, LeanMixin, asker_of, needs_no_session
from ai_features.models import LedgerEntry, Purchase, PurchaseStatus
from ai_features.money import to_credits
from ai_features.openapi import AISchema, link
from ai_features.paging import NewestFirst
from ai_features.parsing import FormParser, JSONParser
from ai_features.paystack import PaystackService, within
from ai_features.rendering import JSONRenderer, json_response
from ai_features.throttling import RateLimit, client_ip

BANKS_ARE_CACHED_SECONDS = 60 * 60
IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key", str, OpenApiParameter.HEADER, description="A repeat with the same key does nothing new."
)


class AIView(APIView):
    """JSON in, JSON out, one error shape; its own settings, so that a host's REST_FRAMEWORK changes nothing."""

    authentication_classes: Sequence[type[BaseAuthentication]] = (TokenAuthentication, SessionAuthentication)
    permission_classes: Sequence[type[BasePermission]] = (IsAuthenticated,)
    renderer_classes = (JSONRenderer,)
    parser_classes = (JSONParser, FormParser)
    throttle_classes = (RateLimit,)
    schema = AISchema()
    throttle_scope: ClassVar[str | None] = None

    @property
    def user(self) -> AbstractBaseUser:
        """Who is logged in, on views that ask for it."""
        assert isinstance(self.request.user, AbstractBaseUser)
        return self.request.user

    def get_exception_handler(self) -> Any:
        return errors.exception_handler


class TokenView(AIView):
    authentication_classes = ()
    permission_classes = (AllowAny,)
    throttle_scope = "token"

    def get_authenticate_header(self, request: Request) -> str:
        # Without a scheme to name, REST framework turns the 401 for a wrong password into a 403.
        return "Token"

    @extend_schema(request=serializers.TokenRequest, responses=serializers.TokenAnswer, auth=[])
    def post(self, request: Request) -> Response:
        """Log in and get a token; send it as `Authorization: Token <token>`."""
        credentials = read(serializers.TokenRequest, request.data)
        with logins.guess(request._request, credentials["username"]):
            user = authenticate(request._request, **credentials)
        if user is None:
            raise AuthenticationFailed(_("Wrong username or password."), code="invalid_credentials")
        _record, token = get_token_model().objects.create(user)
        return Response({"token": token})


class PackagesView(AIView):
    permission_classes = (AllowAny,)

    @extend_schema(
        parameters=[OpenApiParameter("currency", str)], responses=serializers.PackageAnswer(many=True), auth=[]
    )
    def get(self, request: Request) -> Response:
        """What is for sale."""
        quotes: Any = AIBillingService.packages(currency_in(request))
        return Response(serializers.PackageAnswer(quotes, many=True).data)


@method_decorator(transaction.non_atomic_requests, name="dispatch")
class PurchaseView(AIView):
    throttle_scope = "purchase"
    links: ClassVar = {"verify": link("credits_verify_retrieve", "After the payment", reference="reference")}

    @extend_schema(
        request=serializers.PurchaseRequest,
        parameters=[IDEMPOTENCY_KEY],
        responses={200: serializers.StartedPurchaseAnswer, 422: serializers.ErrorAnswer, 503: serializers.ErrorAnswer},
    )
    def post(self, request: Request) -> Response:
        """Start a purchase; send the buyer's browser to `authorization_url`."""
        order = read(serializers.PurchaseRequest, request.data)
        purchase = AIBillingService.purchase_credits(
            self.user,
            order.pop("package"),
            idempotency_key=request.headers.get("Idempotency-Key"),
            **order | {"callback_url": callback_url(request, order["callback_url"])},
            cancel_url=_page(request, "ai_features_web:wallet"),
        )
        return Response(serializers.StartedPurchaseAnswer(purchase).data)


@method_decorator(transaction.non_atomic_requests, name="dispatch")
class VerifyView(AIView):
    throttle_scope = "verify"

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        # Paystack sends the buyer's browser here where a host named this address as callback_url. It has no
        # token and must not meet an error in JSON.
        if request.method == "GET" and request.get_preferred_type(["application/json", "text/html"]) == "text/html":
            page = _page(request, "ai_features_web:callback")
            if page is not None:
                asked = {name: request.GET[name] for name in ("reference", "trxref") if name in request.GET}
                return HttpResponseRedirect(f"{page}?{urlencode(asked)}")
        return super().dispatch(request, *args, **kwargs)  # type: ignore[return-value]

    @extend_schema(parameters=[serializers.VerifyRequest], responses=serializers.VerifyAnswer)
    def get(self, request: Request) -> Response:
        """Ask Paystack about a purchase of yours and settle it if paid. The same answer on every repeat."""
        return self._verify(request, request.query_params)

    @extend_schema(request=serializers.VerifyRequest, responses=serializers.VerifyAnswer)
    def post(self, request: Request) -> Response:
        """As GET."""
        return self._verify(request, request.data)

    def _verify(self, request: Request, data: Any) -> Response:
        asked = read(serializers.VerifyRequest, data)
        purchase = AIBillingService.verify_purchase(self.user, asked.get("reference") or asked["trxref"])
        return Response(verify_answer(purchase))


class BalanceView(LeanMixin, AIView):
    wants_balance = True

    @extend_schema(responses=serializers.BalanceAnswer)
    def get(self, request: Request) -> Response:
        """What you have, and when how much of it expires."""
        return Response(self.answer(request, asker_of(request)))

    def answer(self, request: HttpRequest, asker: Asker) -> dict[str, Any]:
        row = asker.balance_row
        now = balances.balance(asker.wallet_id) if row is None else balances.balance_of(row)
        return {
            "balance": now.balance,
            "held": now.held,
            "available": now.available,
            "debt": now.debt,
            "expiring": [{"credits": lot.credits, "expires_at": lot.expires_at} for lot in now.expiring],
        }


class SpendView(LeanMixin, AIView):
    @extend_schema(
        request=serializers.UseRequest,
        parameters=[IDEMPOTENCY_KEY],
        responses={200: serializers.SpentAnswer, 402: serializers.InsufficientAnswer, 409: serializers.ErrorAnswer},
    )
    def post(self, request: Request) -> Response:
        """Take credits now: `credits`, or what `feature` costs for so much of it."""
        return Response(self.answer(request, asker_of(request)))

    def answer_by_token(self, asked: Asked) -> dict[str, Any] | None:
        if asked.key is not None:
            return None
        try:
            spent = spending.spend_by_token(asked.digest, *use_of(asked.data))
        except RequestRefused:
            return None
        return None if spent is None else {"entry": spent.entry, "new_balance": spent.new_balance}

    def answer(self, request: HttpRequest, asker: Asker) -> dict[str, Any]:
        use, metadata = use_of(asker.data)
        with buy_url_in_refusal(request):
            spent = spending.spend(asker.wallet_id, use, asker.caller, key=asker.key, metadata=metadata)
        return {"entry": spent.entry, "new_balance": spent.new_balance}


class ReservationsView(LeanMixin, AIView):
    links: ClassVar = {
        name: link(f"credits_reservations_{name}_create", "While it is open", reservation_id="id")
        for name in ("capture", "release", "renew")
    }

    @extend_schema(
        request=serializers.ReserveRequest,
        parameters=[IDEMPOTENCY_KEY],
        responses={200: serializers.ReservedAnswer, 402: serializers.InsufficientAnswer, 409: serializers.ErrorAnswer},
    )
    def post(self, request: Request) -> Response:
        """Set credits aside before a call whose price is not known yet."""
        return Response(self.answer(request, asker_of(request)))

    def answer(self, request: HttpRequest, asker: Asker) -> dict[str, Any]:
        use, _metadata = use_of(asker.data)
        ttl = whole_number(asker.data, "ttl_seconds")
        with buy_url_in_refusal(request):
            reserved = reservations.reserve(asker.wallet_id, use, asker.caller, ttl_seconds=ttl, key=asker.key)
        return {"id": reserved.id, "credits": reserved.credits, "expires_at": reserved.expires_at}


class CaptureView(LeanMixin, AIView):
    @extend_schema(
        request=serializers.UseRequest,
        parameters=[IDEMPOTENCY_KEY],
        responses={200: serializers.CapturedAnswer, 404: serializers.ErrorAnswer, 409: serializers.ErrorAnswer},
    )
    def post(self, request: Request, reservation_id: int) -> Response:
        """Charge what the call really cost and let go of the rest; an expired reservation is charged all the same."""
        return Response(self.answer(request, asker_of(request), reservation_id=reservation_id))

    def answer(self, request: HttpRequest, asker: Asker, *, reservation_id: int) -> dict[str, Any]:
        use, metadata = use_of(asker.data)
        captured = reservations.capture(
            asker.wallet_id, reservation_id, use, asker.caller, key=asker.key, metadata=metadata
        )
        return {
            "entry": captured.entry,
            "credits": captured.credits,
            "new_balance": captured.new_balance,
            "was_expired": captured.was_expired,
        }


class ReleaseView(LeanMixin, AIView):
    @extend_schema(
        request=None,
        responses={200: serializers.NewBalanceAnswer, 404: serializers.ErrorAnswer, 409: serializers.ErrorAnswer},
    )
    def post(self, request: Request, reservation_id: int) -> Response:
        """Let go of all of it."""
        return Response(self.answer(request, asker_of(request), reservation_id=reservation_id))

    def answer(self, request: HttpRequest, asker: Asker, *, reservation_id: int) -> dict[str, Any]:
        return {"new_balance": reservations.release(asker.wallet_id, reservation_id, over_http=True)}


class RenewView(LeanMixin, AIView):
    @extend_schema(
        request=serializers.RenewRequest,
        responses={200: serializers.RenewedAnswer, 404: serializers.ErrorAnswer, 409: serializers.ErrorAnswer},
    )
    def post(self, request: Request, reservation_id: int) -> Response:
        """Keep it open until `ttl_seconds` from now."""
        return Response(self.answer(request, asker_of(request), reservation_id=reservation_id))

    def answer(self, request: HttpRequest, asker: Asker, *, reservation_id: int) -> dict[str, Any]:
        ttl = whole_number(asker.data, "ttl_seconds")
        return {"expires_at": reservations.renew(asker.wallet_id, reservation_id, ttl, over_http=True)}


class AvailabilityView(AIView):
    @extend_schema(parameters=[serializers.AvailabilityRequest], responses=serializers.AvailabilityAnswer)
    def get(self, request: Request) -> Response:
        """Whether a feature, or so many credits, could be paid for now. Nothing is taken or set aside."""
        asked = read(serializers.AvailabilityRequest, request.query_params)
        return Response(serializers.AvailabilityAnswer(AIBillingService.check_credits(self.user, **asked)).data)


class UsageStatsView(AIView):
    @extend_schema(parameters=[serializers.UsageRequest], responses=serializers.UsageAnswer)
    def get(self, request: Request) -> Response:
        """What was used in the last days: in all, by feature, by day (UTC)."""
        asked = read(serializers.UsageRequest, request.query_params)
        return Response(serializers.UsageAnswer(AIBillingService.usage_stats(self.user, **asked)).data)


class PurchasesView(AIView, ListAPIView[Purchase]):
    serializer_class = serializers.PurchaseAnswer
    pagination_class = NewestFirst

    def get_queryset(self) -> QuerySet[Purchase]:
        if getattr(self, "swagger_fake_view", False):
            return Purchase.objects.none()
        return Purchase.objects.filter(wallet=AIBillingService.wallet(self.user))


class TransactionsView(AIView, ListAPIView[LedgerEntry]):
    serializer_class = serializers.EntryAnswer
    pagination_class = NewestFirst

    def get_queryset(self) -> QuerySet[LedgerEntry]:
        if getattr(self, "swagger_fake_view", False):
            return LedgerEntry.objects.none()
        return LedgerEntry.objects.filter(wallet=AIBillingService.wallet(self.user)).select_related("purchase")


@method_decorator(transaction.non_atomic_requests, name="dispatch")
class PaymentMethodsView(AIView):
    permission_classes = (AllowAny,)
    throttle_scope = "callback"

    @extend_schema(parameters=[OpenApiParameter("currency", str)], responses=serializers.PaymentMethodsAnswer)
    def get(self, request: Request) -> Response:
        """How one can pay; mobile-money providers and banks as Paystack lists them."""
        currency = currency_in(request) or ai_credits().currency
        answer = cache.get_or_set(
            f"ai-payment-methods-{currency}", lambda: payment_methods(currency), BANKS_ARE_CACHED_SECONDS
        )
        return Response(answer)


@needs_no_session
@csrf_exempt
@transaction.non_atomic_requests
def paystack_webhook(request: HttpRequest) -> HttpResponse:
    """Paystack counts exactly 200 as delivered and sends anything else again, for up to 72 hours.

    200  recorded, whatever processing made of it: the retry is ours
    400  no key of ours signed it, or it was altered on the way; not recorded
    403  from an address outside `WEBHOOK_SOURCE_IPS`, where that is set
    405  not a POST
    413  longer than any event of Paystack's
    503  not recorded, because the database did not answer: send it again
    """
    if request.method != "POST":
        return errors.method_not_allowed(["POST"])
    rules = ai_credits()
    source_ip = client_ip(request)
    if rules.webhook_source_ips and source_ip not in rules.webhook_source_ips:
        return json_response({"error": "forbidden_source", "message": "Not an address of Paystack's."}, status=403)
    body = request.read(rules.webhook_max_bytes + 1)
    if len(body) > rules.webhook_max_bytes:
        return json_response({"error": "body_too_large", "message": "No event is this long."}, status=413)
    try:
        signature = request.META.get("HTTP_X_PAYSTACK_SIGNATURE")
        event = AIBillingService.receive_webhook(body, signature, source_ip=source_ip)
    except AICreditsError as error:
        return json_response(errors.body_of(error), status=error.http_status)
    except errors.DATABASE_DOWN:
        return errors.database_unavailable()
    return json_response({"status": event.status, "outcome": event.outcome})


@contextmanager
def buy_url_in_refusal(request: HttpRequest) -> Iterator[None]:
    """Whoever has too few credits is told where to buy."""
    try:
        yield
    except InsufficientCredits as error:
        error.values["buy_url"] = _page(request, "ai_features_web:buy") or ""
        raise


def callback_url(request: Request, asked: str) -> str:
    """Where Paystack sends the buyer back: as asked, or our own page. Raises CallbackUrlRefused."""
    if not asked:
        return _page(request, "ai_features_web:callback") or request.build_absolute_uri(reverse("ai_features:verify"))
    hosts = {request.get_host(), *ai_credits().callback_hosts}
    is_absolute = asked.isprintable() and asked.lower().startswith(("http://", "https://"))
    if not is_absolute or not url_has_allowed_host_and_scheme(asked, allowed_hosts=hosts):
        raise CallbackUrlRefused
    return asked


def verify_answer(purchase: Purchase) -> dict[str, Any]:
    """The status in the API's word, and what it means for the buyer. The same for every repeat."""
    added = purchase.completed_at is not None
    return {
        "status": "success" if purchase.status == PurchaseStatus.COMPLETED else purchase.status,
        "message": message_for(purchase),
        "reference": purchase.reference,
        "credits_added": to_credits(purchase.total_credits if added else 0),
        "new_balance": to_credits(settlement.balance_after(purchase) if added else purchase.wallet.balance),
    }


def message_for(purchase: Purchase) -> str:
    match purchase.status:
        case PurchaseStatus.COMPLETED:
            return _("Payment received; the credits are in your wallet.")
        case PurchaseStatus.FAILED:
            return _("The payment failed: %(reason)s Start a new purchase to try again.") % {
                "reason": _sentence(purchase.status_reason)
            }
        case PurchaseStatus.ABANDONED:
            return _("Nobody paid in time. If you did pay, verify again; otherwise start a new purchase.")
        case PurchaseStatus.REVIEW:
            return _("A payment arrived that differs from the order. Staff is looking at it; nothing is lost.")
        case PurchaseStatus.PENDING:
            return _("Paystack has not confirmed the payment yet. Verify again in a few seconds.")
    return _("The payment was refunded.")


def payment_methods(currency: str) -> dict[str, Any]:
    with within(settlement.BUYER_WAITS_SECONDS):
        providers = PaystackService.list_mobile_money_providers(currency=currency)
        banks = PaystackService.list_banks(currency=currency)
    return {
        "currency": currency,
        "payment_methods": [method for method in PAYMENT_METHODS if method in ai_credits().payment_methods],
        "mobile_money_providers": _options(providers),
        "banks": _options(bank for bank in banks if bank.type != "mobile_money"),
    }


def _options(banks: Any) -> list[dict[str, str]]:
    return [{"name": bank.name, "code": bank.code} for bank in banks]


def _sentence(text: str) -> str:
    return text if not text or text.endswith((".", "!", "?")) else f"{text}."


def _page(request: Request | HttpRequest, name: str) -> str | None:
    """The absolute address of one of our pages; None where the host left the pages out."""
    try:
        return request.build_absolute_uri(reverse(name))
    except NoReverseMatch:
        return None
