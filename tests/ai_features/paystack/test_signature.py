import hashlib
import hmac
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from ai_features.paystack import PaystackService

KEY = "sk_test_current"
OLD = "sk_test_previous"
BODY = '{"event": "charge.success", "data": {"name": "Ɛsi é 🙂", "amount": 1.0}}'.encode()


def sign(body: bytes, key: str) -> str:
    return hmac.new(key.encode(), body, hashlib.sha512).hexdigest()


@pytest.fixture
def rotated() -> PaystackService:
    return PaystackService(secret_key=KEY, previous_secret_keys=["", OLD])


@pytest.mark.parametrize("key", [KEY, OLD])
def test_current_and_previous_keys_open_the_door(rotated: PaystackService, key: str) -> None:
    assert rotated.verify_webhook_signature(BODY, sign(BODY, key))


def test_threads_share_a_key(rotated: PaystackService) -> None:
    bodies = [BODY + b" " * number for number in range(400)]
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(lambda body: rotated.verify_webhook_signature(body, sign(body, KEY)), bodies))


@pytest.mark.parametrize(
    "signature",
    [
        None,
        "",
        "0" * 128,
        sign(BODY, "sk_test_other"),
        sign(BODY + b" ", KEY),
        sign(BODY, KEY)[:-1],
        sign(BODY, KEY) + "0",
        sign(BODY, KEY).upper(),
        "sha512=" + sign(BODY, KEY),
        sign(BODY, ""),
        "é" * 128,
        "\ud83d",
        "a" * 1_000_000,
        b"bytes",
        7,
    ],
)
def test_anything_else_keeps_it_shut(rotated: PaystackService, signature: Any) -> None:
    assert rotated.verify_webhook_signature(BODY, signature) is False


def test_hash_is_over_the_bytes_as_sent(rotated: PaystackService) -> None:
    other_spelling = BODY.decode().encode("utf-8").replace(b": ", b":")
    assert not rotated.verify_webhook_signature(other_spelling, sign(BODY, KEY))


@pytest.mark.parametrize("key", ["", "  ", None, "pk_test_public", "sk_test_"])
def test_unusable_key_closes_the_door_whatever_is_sent(key: Any) -> None:
    service = PaystackService(secret_key=key, previous_secret_keys=[OLD])
    for signing_key in (key or "", "", OLD):
        assert service.verify_webhook_signature(BODY, sign(BODY, signing_key)) is False


def test_public_key_among_the_previous_signs_nothing() -> None:
    service = PaystackService(secret_key=KEY, previous_secret_keys=["pk_test_public"])
    assert not service.verify_webhook_signature(BODY, sign(BODY, "pk_test_public"))


def test_newline_after_the_key_does_not_count() -> None:
    assert PaystackService(secret_key=KEY + "\n").verify_webhook_signature(BODY, sign(BODY, KEY))


@pytest.mark.parametrize("payload", ["text", None, {"event": "charge.success"}])
def test_parsed_or_decoded_payload_is_a_mistake_of_the_caller(rotated: PaystackService, payload: Any) -> None:
    with pytest.raises(TypeError, match="raw body"):
        rotated.verify_webhook_signature(payload, sign(BODY, KEY))


def test_settings_decide_when_called_on_the_class(settings: Any) -> None:
    settings.PAYSTACK_SECRET_KEY = KEY
    assert PaystackService.verify_webhook_signature(BODY, sign(BODY, KEY))
    settings.PAYSTACK_SECRET_KEY = "sk_test_new"
    assert not PaystackService.verify_webhook_signature(BODY, sign(BODY, KEY))
    settings.PAYSTACK_PREVIOUS_SECRET_KEYS = [KEY]
    assert PaystackService.verify_webhook_signature(BODY, sign(BODY, KEY))
    settings.PAYSTACK_SECRET_KEY = ""
    assert not PaystackService.verify_webhook_signature(BODY, sign(BODY, KEY))
