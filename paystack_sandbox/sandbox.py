"""The parts of one running sandbox, put together: state, clock, faults, webhooks, integrations."""

import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

import httpx2

from paystack_sandbox.apilog import ApiLog
from paystack_sandbox.clock import Clock
from paystack_sandbox.faults import Dice, Faults, parse_faults
from paystack_sandbox.money import COUNTRIES, CURRENCIES
from paystack_sandbox.settings import Settings
from paystack_sandbox.state import Integration, State, Transaction
from paystack_sandbox.webhooks import Webhooks

KEY_PREFIXES = ("sk_test_", "sk_live_")
DEFAULT_SECRET_KEY = "sk_test_sandbox"  # noqa: S105 - the documented key of a tool that holds no secrets


class InvalidConfiguration(ValueError):
    """The message says which option is wrong and what it may be."""


class Sandbox:
    """Everything behind the HTTP routes. Clock and faults are kept in the state and outlive a restart.

    A secret key may name its country, and so its currencies: `sk_test_ng:nigeria`.
    """

    def __init__(
        self,
        state: State,
        *,
        secret_keys: Sequence[str] = (DEFAULT_SECRET_KEY,),
        currencies: Sequence[str] = ("GHS",),
        webhook_url: str | None = None,
        public_url: str = "",
        seed: int | None = None,
        allow_remote_control: bool = False,
        settings: Settings | None = None,
    ) -> None:
        accounts = read_accounts(secret_keys, currencies)
        check_webhook_url(webhook_url)
        self.state = state
        self.settings = settings or Settings()
        self.public_url = public_url
        self.allow_remote_control = allow_remote_control
        self.seed = seed if seed is not None else random.SystemRandom().randrange(2**31)
        self.clock = Clock(state.load("clock_offset_ms") or 0)
        self.log = ApiLog(self.clock)
        self.struck: Counter[str] = Counter()
        """How often each API fault was felt; in memory only."""
        stored_faults = state.load("faults")
        faults = parse_faults(stored_faults, self.seed) if stored_faults else Faults(seed=self.seed)
        self.dice = Dice(faults, state.load("faults_since_ms") or 0)
        self.webhooks = Webhooks(self)
        self._integration_ids = {key: state.put_integration(key, own, webhook_url) for key, own in accounts.items()}
        self._integrations: dict[str, Integration] = {}

    # Integrations

    def integration_with_key(self, secret_key: str) -> Integration | None:
        found = self._integrations.get(secret_key)
        if found is None and secret_key in self._integration_ids:
            found = self.state.integration(self._integration_ids[secret_key])
            self._integrations[secret_key] = found
        return found

    @property
    def integrations(self) -> list[Integration]:
        return [self.state.integration(one) for one in self._integration_ids.values()]

    @property
    def first_integration(self) -> Integration:
        return self.state.integration(next(iter(self._integration_ids.values())))

    def set_webhook_url(self, url: str | None) -> None:
        """The address of all integrations, from now on and for what still waits to be sent."""
        check_webhook_url(url)
        for key, integration_id in self._integration_ids.items():
            currencies = self.state.integration(integration_id).currencies
            self.state.put_integration(key, currencies, url)
        self._integrations = {}

    # Transactions

    def find_by_reference(self, reference: str, integration_id: int | None = None) -> Transaction | None:
        """Of one integration, or of any (the newest) where the caller has no key."""
        key = self.reference_key(reference)
        if integration_id is None:
            return self.state.find_transaction("t.reference_key = ? ORDER BY t.id DESC LIMIT 1", key)
        return self.state.find_transaction("t.integration_id = ? AND t.reference_key = ?", integration_id, key)

    def reference_key(self, reference: str) -> str:
        return reference if self.settings.reference_is_case_sensitive else reference.lower()

    def checkout_url(self, row: Transaction, base_url: str = "") -> str:
        return f"{self.public_url or base_url}/checkout/{row.access_code}"

    # Time and trouble

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.state.save("clock_offset_ms", self.clock.offset_ms)
        self.wake()

    def set_faults(self, body: Any) -> Faults:
        """Replace the faults. Raises InvalidFaults and changes nothing."""
        faults = parse_faults(body, self.seed)
        self.dice = Dice(faults, self.clock.now_ms())
        self.state.save("faults", faults.as_json())
        self.state.save("faults_since_ms", self.dice.since_ms)
        return faults

    def reset(self) -> None:
        """Empty: no transactions, no deliveries, no faults, the clock at real time."""
        self.webhooks.forget()
        self.state.clear()
        self.log.clear()
        self.struck.clear()
        self.clock.reset()
        self.dice = Dice(Faults(seed=self.seed))

    def wake(self) -> None:
        self.webhooks.wake()


def read_accounts(secret_keys: Sequence[str], currencies: Sequence[str]) -> dict[str, Sequence[str]]:
    """The currencies of each secret key. Raises InvalidConfiguration."""
    if not secret_keys:
        raise InvalidConfiguration("at least one secret key is needed")
    check_currencies(currencies)
    accounts: dict[str, Sequence[str]] = {}
    for given in secret_keys:
        key, _, country = given.partition(":")
        check_secret_key(key)
        if key in accounts:
            raise InvalidConfiguration("the same secret key was given twice")
        accounts[key] = currencies_of(country) if country else currencies
    return accounts


def check_secret_key(key: str) -> None:
    # The key itself stays out of the message: it may be a real one.
    if key.startswith("pk_"):
        raise InvalidConfiguration("a public key was given; clients use the secret key, sk_test_… or sk_live_…")
    if (
        not key.startswith(KEY_PREFIXES)
        or key in KEY_PREFIXES
        or not key.isascii()
        or not key.isprintable()
        or " " in key
    ):
        raise InvalidConfiguration("a secret key starts with sk_test_ or sk_live_, as Paystack's do")


def currencies_of(country: str) -> Sequence[str]:
    if country not in COUNTRIES:
        raise InvalidConfiguration(f"country {country!r} is none of {', '.join(COUNTRIES)}")
    return COUNTRIES[country]


def check_currencies(currencies: Sequence[str]) -> None:
    for currency in currencies:
        if currency not in CURRENCIES:
            raise InvalidConfiguration(f"currency {currency!r} is none of {', '.join(CURRENCIES)}")
    if not currencies:
        raise InvalidConfiguration("at least one currency is needed")


def check_webhook_url(url: str | None) -> None:
    if url is None:
        return
    try:
        parsed = httpx2.URL(url)
    except httpx2.InvalidURL as error:
        raise InvalidConfiguration(f"webhook URL {url!r}: {error}") from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise InvalidConfiguration(f"webhook URL {url!r} must start with http:// or https:// and name a host")
