"""The short way through a request that comes a thousand times a second: a token, JSON, one or two round trips.

It is a way for requests that are in order. Whatever else comes – a session, a form, a token that is unknown, expired
or to be renewed, a body that is no JSON – goes through REST framework, which does the same with more ado and knows
every error. So there is one behaviour, and `answer` of each view is the only place that has it.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from functools import cache, lru_cache
from typing import Any, ClassVar, NamedTuple, TypeVar

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.exceptions import RequestDataTooBig
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_started
from django.db import connection, connections
from django.http import HttpRequest, HttpResponse, QueryDict
from django.urls import Resolver404, resolve
from django.utils import timezone
from knox.crypto import hash_token
from knox.models import get_token_model
from knox.settings import CONSTANTS, knox_settings
from rest_framework.exceptions import ParseError
from rest_framework.request import Request

from ai_features import errors
from ai_features.billing.ledger.functions import user_key_type
from ai_features.billing.round_trip import fetch_all
from ai_features.billing.spending import Caller
from ai_features.billing.wallets import wallet_id_of
from ai_features.conf import ai_credits
from ai_features.exceptions import AICreditsError
from ai_features.parsing import MAX_BODY_BYTES, from_json
from ai_features.rendering import json_response

View = TypeVar("View", bound=Callable[..., HttpResponse])

SIGNALS_ARE_DUE = "ai_features.signals_are_due"
"""In the environ of a request for which Django's signals wait until it is known to need them (`ai_features.wsgi`)."""


class Asker(NamedTuple):
    """Whose wallet, who is asking, and what came with the request."""

    wallet_id: int
    caller: Caller
    data: Any
    key: str | None = None
    balance_row: tuple[Any, ...] | None = None


class Asked(NamedTuple):
    """What came with a request, before anybody knows whose token it is."""

    token: str
    data: Any
    key: str | None

    @property
    def digest(self) -> str:
        digest: str = hash_token(self.token)
        return digest


class LeanMixin:
    """For an AIView with one method, whose whole work is done by `answer`."""

    wants_balance: ClassVar[bool] = False

    answer: Callable[..., dict[str, Any]]
    """Takes the request, the asker, and what the address names."""

    def answer_by_token(self, asked: Asked) -> dict[str, Any] | None:
        """The answer, if one round trip can look the token up and do the work too; None, and nothing done, if not."""

    def dispatch(self, request: HttpRequest, *args: Any, **path: Any) -> HttpResponse:
        response = self.at_once(request, **path)
        return super().dispatch(request, *args, **path) if response is None else response  # type: ignore[misc]

    def at_once(self, request: HttpRequest, **path: Any) -> HttpResponse | None:
        """The answer to a request that is in order; None for any other."""
        # Not OPTIONS, which every view has and which must do nothing.
        is_ours = request.method in ("GET", "POST") and hasattr(self, request.method.lower())
        try:
            asked = _asked(request) if is_ours else None
            if asked is None:
                return None
            answer = self.answer_by_token(asked)
            if answer is None:
                asker = _asker(asked, wants_balance=self.wants_balance)
                answer = None if asker is None else self.answer(request, asker, **path)
            return None if answer is None else json_response(answer)
        except AICreditsError as error:
            return errors.response_to(error)
        except errors.DATABASE_DOWN:
            return errors.database_unavailable()


def needs_no_session(view: View) -> View:
    """For a function that answers whoever asks by what the request itself holds."""
    view.needs_no_session = True  # type: ignore[attr-defined]
    return view


class TokenRequestsFirst:
    """Middleware: requests with a token and Paystack's webhooks, which need neither session nor cookie, are answered
    before those are set up.

    Put it after SecurityMiddleware. Without it everything works, and takes a little longer.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self._at_once(request) or self._the_long_way(request)

    def _the_long_way(self, request: HttpRequest) -> HttpResponse:
        if request.META.pop(SIGNALS_ARE_DUE, False):
            request_started.send(sender=WSGIHandler, environ=request.META)
        return self.get_response(request)

    def _at_once(self, request: HttpRequest) -> HttpResponse | None:
        answer = _short_way(request.META, request.path_info)
        if answer is None:
            return None
        request.get_host()  # raises DisallowedHost, as CommonMiddleware would
        return answer(request)


def is_short(environ: dict[str, Any], path: str) -> bool:
    """Whether a request may be answered by the short way, going by its address and what it brings along."""
    return _short_way(environ, path) is not None


def _short_way(environ: dict[str, Any], path: str) -> Callable[[HttpRequest], HttpResponse | None] | None:
    if "HTTP_AUTHORIZATION" not in environ and "HTTP_X_PAYSTACK_SIGNATURE" not in environ:
        return None
    return _lean_view_at(path, settings.ROOT_URLCONF)


@lru_cache(maxsize=1024)
def _lean_view_at(path: str, urlconf: str) -> Callable[[HttpRequest], HttpResponse | None] | None:
    """Kept, since Django tries its patterns one by one, which takes longer than reading the request."""
    try:
        match = resolve(path, urlconf)
    except Resolver404:
        return None
    if getattr(match.func, "needs_no_session", False):
        return match.func
    view = getattr(match.func, "cls", None)
    if not (isinstance(view, type) and issubclass(view, LeanMixin)):
        return None
    return lambda request: view().at_once(request, **match.kwargs)


def asker_of(request: Request) -> Asker:
    """The same, once REST framework has authenticated and parsed the request."""
    assert request.user.is_authenticated
    token = getattr(request.auth, "token_key", "") or ""
    data = _from_form(request.data) if isinstance(request.data, QueryDict) else request.data
    caller = Caller(request.user.pk, token, over_http=True)
    return Asker(wallet_id_of(request.user), caller, data, request.headers.get("Idempotency-Key"))


def _from_form(form: QueryDict) -> dict[str, Any]:
    """A form knows no numbers; what looks like one is one."""
    data: dict[str, Any] = {}
    for name, value in form.items():
        try:
            number = Decimal(str(value))
            data[name] = int(number) if str(value).isdecimal() else number
        except InvalidOperation:
            data[name] = value
    return data


def _asked(request: HttpRequest) -> Asked | None:
    scheme, _, token = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    if scheme != knox_settings.AUTH_HEADER_PREFIX or not (token.isascii() and token.isalnum()):
        return None
    if knox_settings.AUTO_REFRESH or ai_credits().wallet_resolver:
        return None
    data: Any = {}
    if request.method != "GET":
        if request.content_type != "application/json":
            return None
        try:
            if len(request.body) > MAX_BODY_BYTES:
                return None
            data = from_json(request.body)
        except (ParseError, RequestDataTooBig):
            return None
    return Asked(token, data, request.META.get("HTTP_IDEMPOTENCY_KEY"))


def _asker(asked: Asked, *, wants_balance: bool) -> Asker | None:
    row = _read_token(asked.digest, wants_balance=wants_balance)
    if row is None:
        return None
    user_id, wallet_id, *balance_row = row
    if wallet_id is None:
        return None
    member_id = get_user_model()._meta.pk.to_python(user_id)
    caller = Caller(member_id, asked.token[: CONSTANTS.TOKEN_KEY_LENGTH], over_http=True)
    return Asker(wallet_id, caller, asked.data, asked.key, tuple(balance_row) or None)


def _read_token(digest: str, *, wants_balance: bool) -> tuple[Any, ...] | None:
    """User and wallet of a token in force, in one indexed read, and the wallet's balance in the same; None for another.

    Knox has its own way of doing this, with a read for each step.
    """
    now = timezone.now()
    if connection.vendor != "postgresql":
        moment = connection.ops.adapt_datetimefield_value(now)
        return next(iter(fetch_all(_select(digest="%s", now="%s"), [digest, moment])), None)
    more = "LEFT JOIN LATERAL ai_features_balance(a.wallet_id, %s) AS b ON true" if wants_balance else ""
    parameters = [digest, now, now] if wants_balance else [digest, now]
    return next(iter(fetch_all(f"SELECT * FROM ai_features_asker(%s, %s) AS a {more}", parameters)), None)  # noqa: S608


def install(*, using: str = "default", **_: Any) -> None:
    """Create or replace the functions that read tokens on PostgreSQL, where plans stay cached; after `migrate`."""
    database = connections[using]
    if database.vendor == "postgresql" and "ai_features_wallet" in database.introspection.table_names():
        with database.cursor() as cursor:
            cursor.execute(_ASKER.format(select=_select(digest="digest", now="now")))
            cursor.execute(_SPENDING.format(select=_select(digest="d.digest", now="now"), user_key=user_key_type()))
            cursor.execute(_SPENDING_OF_ONE.format(user_key=user_key_type()))


_ASKER = """
DROP FUNCTION IF EXISTS ai_features_asker;
CREATE FUNCTION ai_features_asker(digest text, now timestamptz)
RETURNS TABLE (user_id text, wallet_id bigint)
LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_variable
BEGIN RETURN QUERY {select}; END $$
"""

# A row for each token in force; one without ids was left alone. Plans as in apply.sql; the limit has each token looked
# up by itself, also by a plan that was made while there were few.
_SPENDING = """
DROP FUNCTION IF EXISTS ai_features_spend_by_token;
CREATE FUNCTION ai_features_spend_by_token(
  digests text[], costs bigint[], features text[], pricings text[], notes text[], now timestamptz, may_wait boolean)
RETURNS TABLE (n bigint, ids bigint[], balance bigint, available bigint, low_balance bigint, wallet bigint)
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
#variable_conflict use_variable
DECLARE
  wallets bigint[];
  members {user_key}[];
BEGIN
  SELECT array_agg(a.wallet ORDER BY d.n), array_agg(a.member::{user_key} ORDER BY d.n) INTO wallets, members
    FROM unnest(digests) WITH ORDINALITY AS d (digest, n) LEFT JOIN LATERAL ({select} LIMIT 1) AS a (member, wallet)
      ON true;
  RETURN QUERY
  SELECT o.n, s.ids, s.balance, s.available, s.low_balance, o.wallet
    FROM unnest(wallets) WITH ORDINALITY AS o (wallet, n)
    LEFT JOIN ai_features_spend_each(
      wallets, costs, features, pricings, notes, members, now, may_wait) AS s ON s.n = o.n
   WHERE o.wallet IS NOT NULL;
END $$
"""

# See spend_from_one.sql. Never dropped: PostgreSQL before 14.10, 15.5 and 16.1 would not find it again for statements
# that are prepared.
_SPENDING_OF_ONE = """
CREATE OR REPLACE PROCEDURE ai_features_spend_by_token_and_let_go(
  digest text, total bigint, costs bigint[], features text[], pricings text[], notes text[], now timestamptz,
  INOUT ids bigint[], INOUT balance bigint, INOUT available bigint, INOUT low_balance bigint, INOUT wallet bigint)
LANGUAGE plpgsql AS $$
#variable_conflict use_variable
DECLARE
  member {user_key};
BEGIN
  SELECT a.user_id::{user_key}, a.wallet_id INTO member, wallet FROM ai_features_asker(digest, now) AS a;
  CALL ai_features_spend_and_let_go(
    wallet, total, costs, features, pricings, notes, array_fill(member, ARRAY[cardinality(costs)]), now,
    ids, balance, available, low_balance);
END $$
"""


@cache
def _select(*, digest: str, now: str) -> str:
    """The names of the tables of tokens and users are the host's to choose."""
    token, user = get_token_model()._meta, get_user_model()._meta
    quote = connection.ops.quote_name
    pk, tokens, users = quote(str(user.pk.column)), quote(token.db_table), quote(user.db_table)
    is_active = "AND u.is_active" if any(field.column == "is_active" for field in user.concrete_fields) else ""
    return f"""
        SELECT CAST(u.{pk} AS text), w.id FROM {tokens} AS t
          JOIN {users} AS u ON u.{pk} = t.user_id {is_active}
          LEFT JOIN ai_features_wallet AS w ON w.user_id = u.{pk}
         WHERE t.digest = {digest} AND (t.expiry IS NULL OR t.expiry >= {now})"""  # noqa: S608  names of tables only
