"""Whose wallet it is: a user's own, or the one of the team that the host's resolver names."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.utils.module_loading import import_string

from ai_features.billing.requests import is_plain_text
from ai_features.conf import ai_credits
from ai_features.exceptions import InvalidRequest
from ai_features.models import Wallet

Owner = AbstractBaseUser | Wallet | str
TEAM_LONGEST = 100


def wallet_of(owner: Owner) -> Wallet:
    """The owner's wallet, made empty on first use; `owner` is a user, a team's key, or a wallet. Safe to repeat.

    Raises InvalidRequest for who is nobody: a visitor who has not logged in, a user that is not saved, an unusable key.
    """
    whose: dict[str, Any]
    if isinstance(owner, str):
        whose = {"team": _usable(owner)}
    else:
        key = _key_of(owner)
        if isinstance(owner, Wallet):
            return owner
        team = _team_of(owner)
        whose = {"user_id": key} if team is None else {"team": _usable(team)}
    wallet, _created = Wallet.objects.get_or_create(**whose)
    return wallet


def wallet_id_of(owner: Owner) -> int:
    """The same without its row, where only the id is needed."""
    if isinstance(owner, str):
        return wallet_of(owner).pk
    key = _key_of(owner)
    if isinstance(owner, Wallet):
        return owner.pk
    if ai_credits().wallet_resolver:
        return wallet_of(owner).pk
    found = Wallet.objects.filter(user_id=key).values_list("pk", flat=True).first()
    return wallet_of(owner).pk if found is None else found


def _key_of(owner: AbstractBaseUser | Wallet) -> Any:
    """Never None, with which a lookup would find the wallets that have no user: those of teams."""
    key = getattr(owner, "pk", None)
    if key is None:
        raise InvalidRequest(fields={"owner": ["A user who is logged in, a team's key, or a wallet."]})
    return key


def _usable(team: object) -> str:
    key = str(team)
    if not key or not is_plain_text(key, TEAM_LONGEST):
        raise InvalidRequest(fields={"owner": [f"A team's key has 1 to {TEAM_LONGEST} printable characters."]})
    return key


def owners_called(name: str) -> list[Owner]:
    """The user with this log-in name, and the key of the team that has a wallet under it: none, one, or both."""
    users = get_user_model()._default_manager.filter(**{get_user_model().USERNAME_FIELD: name})
    teams = Wallet.objects.filter(team=name).values_list("team", flat=True)
    return [*users, *(str(team) for team in teams)]


def _team_of(user: AbstractBaseUser) -> str | None:
    path = ai_credits().wallet_resolver
    return import_string(path)(user) if path else None
