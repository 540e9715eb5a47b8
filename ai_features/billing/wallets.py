"""Whose wallet it is: a user's own, or the one of the team that the host's resolver names."""

from __future__ import annotations

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.utils.module_loading import import_string

from ai_features.conf import ai_credits
from ai_features.models import Wallet

Owner = AbstractBaseUser | Wallet | str


def wallet_of(owner: Owner) -> Wallet:
    """The owner's wallet, made empty on first use; `owner` is a user, a team's key, or a wallet. Safe to repeat."""
    match owner:
        case Wallet():
            return owner
        case str():
            wallet, _created = Wallet.objects.get_or_create(team=owner)
        case _:
            team = _team_of(owner)
            whose = {"user_id": owner.pk} if team is None else {"team": team}
            wallet, _created = Wallet.objects.get_or_create(**whose)
    return wallet


def wallet_id_of(owner: Owner) -> int:
    """The same without its row, where only the id is needed."""
    if isinstance(owner, Wallet):
        return owner.pk
    if isinstance(owner, str) or ai_credits().wallet_resolver:
        return wallet_of(owner).pk
    found = Wallet.objects.filter(user_id=owner.pk).values_list("pk", flat=True).first()
    return wallet_of(owner).pk if found is None else found


def owners_called(name: str) -> list[Owner]:
    """The user with this log-in name, and the key of the team that has a wallet under it: none, one, or both."""
    users = get_user_model()._default_manager.filter(**{get_user_model().USERNAME_FIELD: name})
    teams = Wallet.objects.filter(team=name).values_list("team", flat=True)
    return [*users, *(str(team) for team in teams)]


def _team_of(user: AbstractBaseUser) -> str | None:
    path = ai_credits().wallet_resolver
    return import_string(path)(user) if path else None
