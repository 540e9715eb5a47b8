import inspect
import pickle
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from ai_features.paystack import PaystackService
from tests.ai_features.paystack.bodies import VERIFIED
from tests.ai_features.paystack.conftest import KEY
from tests.ai_features.paystack.odd_server import OddServer, accepted


@pytest.mark.parametrize(("key", "mode"), [("sk_test_a", "test"), ("sk_live_a", "live"), (" sk_live_a\n", "live")])
def test_mode_is_read_from_the_key(key: str, mode: str) -> None:
    assert PaystackService(secret_key=key).mode == mode


@pytest.mark.parametrize(
    "key", ["pk_test_secretpart", "sk_secretpart", "secretpart", "sk_test_secret part", "sk_test_é"]
)
def test_wrong_key_is_reported_without_showing_it(key: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="sk_test_ or sk_live_") as caught:
        _ = PaystackService(secret_key=key).mode
    assert "secretpart" not in str(caught.value)


def test_empty_key_asks_nobody(odd: OddServer, make_service: Any) -> None:
    with pytest.raises(ImproperlyConfigured, match="is empty"):
        make_service(secret_key="").verify_transaction("T1")
    assert odd.requests == []


@pytest.mark.parametrize(
    "address",
    ["", "api.paystack.co", "ftp://api.paystack.co", "https://", "https://u:p@host", "https://h/?a=1", "http://h:99999",
     "http://[::1", "https://h/#x"],
)  # fmt: skip
def test_unusable_address_is_refused_at_once(address: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="PAYSTACK_BASE_URL"):
        PaystackService(secret_key=KEY, base_url=address)


@pytest.mark.parametrize(
    ("key", "address", "allowed"),
    [
        ("sk_live_a", "http://api.paystack.co", False),
        ("sk_live_a", "https://api.paystack.co", True),
        ("sk_live_a", "http://127.0.0.1:8010", True),
        ("sk_live_a", "http://[::1]:8010", True),
        ("sk_test_a", "http://sandbox:8010", True),
    ],
)
def test_live_key_leaves_this_machine_only_by_https(key: str, address: str, allowed: bool) -> None:
    if allowed:
        assert PaystackService(secret_key=key, base_url=address).base_url == address
    else:
        with pytest.raises(ImproperlyConfigured, match="in the clear"):
            PaystackService(secret_key=key, base_url=address)


def test_previous_keys_are_a_list() -> None:
    with pytest.raises(ImproperlyConfigured, match="PREVIOUS"):
        PaystackService(secret_key=KEY, previous_secret_keys="sk_test_a,sk_test_b")


def test_same_settings_share_one_service(settings: Any) -> None:
    settings.PAYSTACK_SECRET_KEY = "sk_test_one"
    first = PaystackService.from_settings()
    assert PaystackService.from_settings() is first
    settings.PAYSTACK_SECRET_KEY = "sk_live_two"
    assert (first.mode, PaystackService.from_settings().mode) == ("test", "live")
    settings.PAYSTACK_SECRET_KEY = "sk_test_one"
    assert PaystackService.from_settings() is first


def test_address_defaults_to_paystack(settings: Any) -> None:
    del settings.PAYSTACK_BASE_URL
    assert PaystackService.from_settings().base_url == "https://api.paystack.co"


def test_subclass_has_services_of_its_own() -> None:
    class Quiet(PaystackService):
        pass

    assert type(Quiet.from_settings()) is Quiet
    assert type(PaystackService.from_settings()) is PaystackService


def test_class_call_goes_where_the_settings_point(odd: OddServer, settings: Any) -> None:
    odd.answers = [accepted(VERIFIED)]
    settings.PAYSTACK_BASE_URL, settings.PAYSTACK_SECRET_KEY = odd.url, "sk_test_fromsettings"
    assert PaystackService.verify_transaction("re4lyvq3s3").is_paid
    assert b"Authorization: Bearer sk_test_fromsettings" in odd.requests[0]
    PaystackService.from_settings().close()


def test_looking_a_method_up_needs_no_settings(settings: Any) -> None:
    settings.PAYSTACK_BASE_URL = "nonsense"
    assert "abandoned" in (inspect.getdoc(PaystackService.verify_transaction) or "")
    assert list(inspect.signature(PaystackService.verify_transaction).parameters) == ["self", "reference"]
    with pytest.raises(ImproperlyConfigured):
        PaystackService.verify_transaction("T1")


def test_service_and_its_key_are_not_pickled() -> None:
    service = PaystackService(secret_key=KEY)
    for part in (service, vars(service)["_key"]):
        with pytest.raises(TypeError, match="not pickled"):
            pickle.dumps(part)
