"""What is in the database before a measurement. It keeps the ledger's laws, so the audit can follow a run."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from datetime import timedelta
from itertools import count

import orjson
from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import connection
from django.utils import timezone
from knox.models import get_token_model

from ai_features.billing import AIBillingService
from ai_features.models import Wallet

PLENTY = 10**9
"""Credits in each wallet: no measurement may run dry."""

_batches = count()


def make_wallets(number: int, name: str) -> list[Wallet]:
    """Wallets of new users, each with plenty in one lot that expires in half a year, as bought credits do."""
    users = get_user_model().objects
    users.bulk_create(users.model(username=f"{name}-{n}", password="!") for n in range(number))  # noqa: S106  none fits
    wallets = [AIBillingService.wallet(user) for user in users.filter(username__startswith=f"{name}-").order_by("pk")]
    for wallet in wallets:
        until = timezone.now() + timedelta(days=180)
        AIBillingService.grant(wallet, PLENTY, reason="Benchmark", expires_at=until)
    settle_down()
    return wallets


def make_tokens(wallets: list[Wallet]) -> list[str]:
    return [get_token_model().objects.create(wallet.user)[1] for wallet in wallets]


def make_purchases(wallets: list[Wallet], number: int) -> list[bytes]:
    """Pending purchases of the wallets in turn, and for each the body of Paystack's `charge.success`."""
    batch = next(_batches)
    with connection.cursor() as cursor:
        cursor.execute(_PURCHASES, [batch, number, [wallet.pk for wallet in wallets]])
    settle_down()
    return [orjson.dumps(_charge_success(f"AI-CREDIT-{batch}-{n}", n)) for n in range(number)]


def sign(body: bytes) -> str:
    return hmac.new(settings.PAYSTACK_SECRET_KEY.encode(), body, hashlib.sha512).hexdigest()


def signed(bodies: list[bytes]) -> Iterator[tuple[bytes, str]]:
    return iter([(body, sign(body)) for body in bodies])


def add_history(wallet: Wallet, entries: int, *, live_lots: int = 1000, used_lots: int = 10_000) -> None:
    """A long past: used-up lots, spends that used them up, and lots with something left, by set-based INSERTs."""
    each = -(-entries // used_lots) * 1000
    values = {"wallet": wallet.pk, "entries": entries, "live": live_lots, "used": used_lots, "each": each}
    with connection.cursor() as cursor:
        for statement in _HISTORY:
            cursor.execute(statement, values)
    settle_down()


def settle_down() -> None:
    """What the next statements meet should not hang on when autovacuum came by."""
    with connection.cursor() as cursor:
        cursor.execute("VACUUM (ANALYZE) ai_features_wallet, ai_features_purchase, ai_features_lot")
        cursor.execute("ANALYZE ai_features_ledgerentry")


def _charge_success(reference: str, number: int) -> dict[str, object]:
    """The fields of a real one that anybody reads, and about as many bytes again that nobody does."""
    return {
        "event": "charge.success",
        "data": {
            "id": 4_000_000_000 + number,
            "domain": "test",
            "status": "success",
            "reference": reference,
            "amount": 8000,
            "requested_amount": 8000,
            "currency": "GHS",
            "channel": "card",
            "fees": 156,
            "gateway_response": "Successful",
            "message": None,
            "ip_address": "102.176.94.1",
            "paid_at": "2026-08-22T09:15:02.000Z",
            "created_at": "2026-08-22T09:14:31.000Z",
            "metadata": "",
            "log": None,
            "plan": {},
            "customer": {"id": 82_796_315, "email": "ama@example.com", "customer_code": "CUS_xnxdt6s1zg1f4nx"},
            "authorization": {
                "authorization_code": "AUTH_8dfhjjdt",
                "bin": "408408",
                "last4": "4081",
                "exp_month": "12",
                "exp_year": "2030",
                "channel": "card",
                "card_type": "visa",
                "bank": "TEST BANK",
                "country_code": "GH",
                "brand": "visa",
                "reusable": True,
                "signature": "SIG_yEXu7dLBeqG0kU7g95Ke",
            },
        },
    }


_PURCHASES = """
WITH asked AS (SELECT %s::int AS batch, %s::int AS number, %s::bigint[] AS wallets)
INSERT INTO ai_features_purchase
  (reference, wallet_id, buyer_id, email, mode, status, status_reason, package_code, currency, price_minor, tax_lines,
   amount_minor, credits, bonus_credits, payment_method, fingerprint, authorization_url, access_code, paystack_id,
   paid_currency, channel, gateway_response, settled_by, created_at)
SELECT 'AI-CREDIT-' || batch || '-' || n, w.id, w.user_id, 'ama@example.com', 'test', 'pending', '', 'value', 'GHS',
       8000, '[]', 8000, 80000000, 20000000, '', '', 'http://127.0.0.1:9/checkout/abcdefghijklmno', '', '', '', '', '',
       '', now()
  FROM asked CROSS JOIN generate_series(0, number - 1) AS n
  JOIN ai_features_wallet AS w ON w.id = wallets[1 + n %% cardinality(wallets)]
"""

# `each` micro-credits were in every used-up lot, a thousand went with each spend.
_HISTORY = (
    """
INSERT INTO ai_features_lot (wallet_id, source, amount, remaining, expires_at, created_at)
SELECT %(wallet)s, 'granted', %(each)s, 0, now() + interval '100 days' + n * interval '1 minute', now()
  FROM generate_series(1, %(used)s) AS n
""",
    """
INSERT INTO ai_features_lot (wallet_id, source, amount, remaining, expires_at, created_at)
SELECT %(wallet)s, 'granted', 1000000000000, 1000000000000, now() + interval '30 days' + n * interval '1 hour', now()
  FROM generate_series(1, %(live)s) AS n
""",
    """
INSERT INTO ai_features_ledgerentry (wallet_id, kind, amount, balance_after, lot_id, reason, created_at)
SELECT %(wallet)s, 'grant', l.amount, w.balance + sum(l.amount) OVER (ORDER BY l.id), l.id, 'Benchmark', now()
  FROM ai_features_lot AS l JOIN ai_features_wallet AS w ON w.id = l.wallet_id
 WHERE l.wallet_id = %(wallet)s AND NOT EXISTS (SELECT FROM ai_features_ledgerentry AS e WHERE e.lot_id = l.id)
""",
    """
INSERT INTO ai_features_ledgerentry (wallet_id, kind, amount, balance_after, feature, created_at)
SELECT w.id, 'spend', -1000, w.balance + %(each)s::bigint * %(used)s + 1000000000000 * %(live)s - 1000 * n, 'chat',
       now()
  FROM ai_features_wallet AS w CROSS JOIN generate_series(1, %(each)s::bigint * %(used)s / 1000) AS n
 WHERE w.id = %(wallet)s
""",
    """
UPDATE ai_features_wallet
   SET balance = balance + 1000000000000 * %(live)s,
       next_expiry_at = (SELECT min(expires_at) FROM ai_features_lot WHERE wallet_id = %(wallet)s AND remaining > 0)
 WHERE id = %(wallet)s
""",
)
