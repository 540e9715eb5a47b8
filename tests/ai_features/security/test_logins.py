"""Guessing passwords: slow for the guesser, and nothing to anybody else."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import User
from django.test import Client, RequestFactory
from django.utils import timezone

from ai_features.logins import guess
from ai_features.throttling import FailedLogins

TOKEN, PAGE, ADMIN = "/ai/api/token/", "/accounts/login/", "/admin/login/"
HERE, ELSEWHERE = "192.0.2.1", "198.51.100.7"


@pytest.fixture(autouse=True)
def _three_guesses(settings: Any) -> None:
    settings.AI_CREDITS = {"THROTTLE_RATES": {"login": "3/hour"}}


def attempt(url: str, password: str, username: str = "ama", address: str = HERE) -> Any:
    form = urlencode({"username": username, "password": password})
    return Client(REMOTE_ADDR=address).post(url, form, content_type="application/x-www-form-urlencoded")


@pytest.mark.parametrize("url", [TOKEN, PAGE, ADMIN])
def test_guessing_is_stopped_with_a_time_to_wait(buyer: User, url: str) -> None:
    assert [attempt(url, f"guess{n}").status_code for n in range(3)] != [429] * 3
    refused = attempt(url, "ama")
    assert refused.status_code == 429
    assert 3500 < int(refused.headers["Retry-After"]) <= 3600


def test_guesses_count_wherever_they_are_made(buyer: User) -> None:
    for url in (TOKEN, PAGE, ADMIN):
        attempt(url, "guess")
    assert attempt(TOKEN, "ama").json()["error"] == "rate_limited"


def test_stranger_elsewhere_locks_nobody_out(buyer: User) -> None:
    for n in range(5):
        attempt(PAGE, f"guess{n}", address=ELSEWHERE)
    assert attempt(PAGE, "ama").status_code == 302
    assert attempt(TOKEN, "ama").status_code == 200


def test_other_names_at_the_same_address_go_on(buyer: User, other_buyer: User) -> None:
    for n in range(5):
        attempt(PAGE, f"guess{n}")
    assert attempt(PAGE, "kofi", username="kofi").status_code == 302


def test_name_in_another_spelling_is_no_way_round(buyer: User) -> None:
    for name in ("ama", "AMA", " ama "):
        attempt(TOKEN, "guess", username=name)
    assert attempt(TOKEN, "ama").status_code == 429


def test_one_subscribers_many_ipv6_addresses_are_one(buyer: User) -> None:
    for n in range(3):
        attempt(TOKEN, "guess", address=f"2001:db8:1:2::{n}")
    assert attempt(TOKEN, "ama", address="2001:db8:1:2:ffff::1").status_code == 429
    assert attempt(TOKEN, "ama", address="2001:db8:1:3::1").status_code == 200


def test_ipv4_clients_of_a_server_on_ipv6_are_not_one(buyer: User) -> None:
    for _ in range(3):
        attempt(TOKEN, "guess", address=f"::ffff:{HERE}")
    assert attempt(TOKEN, "ama", address=HERE).status_code == 429
    assert attempt(TOKEN, "ama", address=f"::ffff:{ELSEWHERE}").status_code == 200


def test_guesses_at_the_same_moment_are_counted_each(rf: RequestFactory) -> None:
    request = rf.post(TOKEN, REMOTE_ADDR=HERE)
    with ThreadPoolExecutor(16) as pool:
        heard = pool.map(lambda _: FailedLogins(request, "ama").take(), range(100))
    assert sum(heard) == 3


def test_guess_takes_its_place_before_the_password_is_looked_at(buyer: User, rf: RequestFactory) -> None:
    request = rf.post(TOKEN, REMOTE_ADDR=HERE)
    with guess(request, "ama"), guess(request, "ama"), guess(request, "ama"):
        assert attempt(TOKEN, "ama").status_code == 429
    assert attempt(TOKEN, "ama").status_code == 200


def test_trying_many_names_forgets_no_guess(buyer: User, rf: RequestFactory) -> None:
    for n in range(3):
        attempt(TOKEN, f"guess{n}")
    for n in range(1000):
        FailedLogins(rf.post(TOKEN), f"name{n}").take()
    assert attempt(TOKEN, "ama").status_code == 429


def test_right_passwords_are_not_counted(buyer: User) -> None:
    assert [attempt(TOKEN, "ama").status_code for _ in range(5)] == [200] * 5


def test_waiting_is_enough(buyer: User, time_machine: Any) -> None:
    for n in range(3):
        attempt(TOKEN, f"guess{n}")
    time_machine.move_to(timezone.now() + timedelta(seconds=3601))
    assert attempt(TOKEN, "ama").status_code == 200


@pytest.mark.parametrize("url", [TOKEN, PAGE, ADMIN])
def test_trying_many_names_from_one_address_is_stopped(buyer: User, settings: Any, url: str) -> None:
    settings.AI_CREDITS = {"THROTTLE_RATES": {"token": "4/min"}}
    codes = [attempt(url, "guess", username=f"name{n}").status_code for n in range(6)]
    assert codes[-2:] == [429, 429]
    assert attempt(url, "ama", address=ELSEWHERE).status_code != 429


@pytest.mark.parametrize("url", [TOKEN, PAGE, ADMIN])
def test_unknown_name_and_wrong_password_look_alike(buyer: User, url: str) -> None:
    known, unknown = attempt(url, "guess"), attempt(url, "guess", username="who")
    assert known.status_code == unknown.status_code
    assert len(known.content) == len(unknown.content)
