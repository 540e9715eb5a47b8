import pytest

from ai_features import checks


def ids(found) -> list[str]:
    return [message.id for message in found]


def test_unknown_setting_is_named_with_a_guess(settings) -> None:
    settings.AI_CREDITS = {"CURENCY": "NGN"}
    (error,) = checks.unknown_settings(None)
    assert "CURENCY" in error.msg
    assert error.hint == "Did you mean CURRENCY?"


@pytest.mark.parametrize(
    "rules",
    [
        {"CURRENCY": "EUR"},
        {"CUSTOM_MINIMUM": "0.01"},
        {"CUSTOM_MINIMUM": "x"},
        {"CUSTOM_CREDITS_PER_UNIT": 0},
        {"CREDITS_EXPIRE_DAYS": 0},
        {"TAXES": [("VAT", "-0.1")]},
        {"TAXES": ["VAT"]},
        {"PAYMENT_METHODS": ["cheque"]},
        {"WEBHOOK_SOURCE_IPS": ["nowhere"]},
        {"WALLET_RESOLVER": "no.such.function"},
        {"REFUND_POLICY": "keep"},
        {"STAFF_EMAILS": "desk@example.com"},
    ],
)
def test_unusable_value_is_an_error(settings, rules) -> None:
    settings.AI_CREDITS = rules
    assert set(ids(checks.unusable_settings(None))) == {"ai_features.E002"}


def test_defaults_are_fine(settings) -> None:
    settings.AI_CREDITS = {}
    assert checks.unknown_settings(None) == checks.unusable_settings(None) == []


@pytest.mark.parametrize(
    ("key", "found"), [("", ["ai_features.W003"]), ("pk_test_1", ["ai_features.E004"]), ("sk_live_1", [])]
)
def test_secret_key_is_looked_at_and_not_shown(settings, key: str, found: list[str]) -> None:
    settings.PAYSTACK_SECRET_KEY = key
    messages = checks.secret_key(None)
    assert ids(messages) == found
    assert not key or key not in "".join(map(str, messages))


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("https://api.paystack.co", []),
        ("http://127.0.0.1:8010", []),
        ("http://localhost:8010", []),
        ("http://api.paystack.co", ["ai_features.E006"]),
        ("api.paystack.co", ["ai_features.E005"]),
    ],
)
def test_key_is_not_sent_in_the_clear(settings, address: str, found: list[str]) -> None:
    settings.PAYSTACK_BASE_URL = address
    assert ids(checks.base_url(None)) == found


def test_live_key_with_debug_is_an_error(settings) -> None:
    settings.PAYSTACK_SECRET_KEY, settings.DEBUG = "sk_live_1", True
    assert ids(checks.live_mode(None)) == ["ai_features.E007"]


def test_sqlite_in_its_default_mode_is_a_warning(settings, monkeypatch) -> None:
    monkeypatch.setitem(settings.DATABASES, "default", {"ENGINE": "django.db.backends.sqlite3"})
    assert ids(checks.sqlite_transactions(None)) == ["ai_features.W008"]
