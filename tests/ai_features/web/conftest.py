import pytest
from django.contrib.auth.models import User
from django.test import Client


@pytest.fixture
def browser(buyer: User) -> Client:
    """The buyer's, logged in, and as strict about CSRF as a real one."""
    client = Client()
    client.force_login(buyer)
    return client


@pytest.fixture
def others_browser(other_buyer: User) -> Client:
    client = Client()
    client.force_login(other_buyer)
    return client
