"""Addresses that nobody types: Django's own admin meets them in the reference project."""

import pytest
from django.db import connection
from django.test import Client

AUTOCOMPLETE = "/admin/autocomplete/?app_label=ai_features&model_name=wallet&field_name=user&term="


@pytest.mark.parametrize("address", [f"{AUTOCOMPLETE}%00", f"{AUTOCOMPLETE}a%00b", "/admin/knox/authtoken/%00/change/"])
def test_nul_in_an_address_is_a_bad_request_and_no_failure(admin_client: Client, address: str) -> None:
    # SQLite keeps it, finds nothing, and all is well.
    expected = {400} if connection.vendor == "postgresql" else {200, 302}
    assert admin_client.get(address).status_code in expected


def test_names_are_still_completed(admin_client: Client) -> None:
    found = admin_client.get(f"{AUTOCOMPLETE}adm").json()["results"]
    assert [one["text"] for one in found] == ["admin"]
