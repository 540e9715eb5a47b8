from __future__ import annotations

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.core.management.base import CommandError

from ai_features.billing.wallets import Owner, owners_called


def owner_called(name: str, *, is_team: bool = False) -> Owner:
    """The one user or team that an operator means. Raises CommandError for none, and for one of each."""
    if is_team:
        return name
    match owners_called(name):
        case [only]:
            return only
        case []:
            raise CommandError(
                f"There is no user {name}, and no team of that name has a wallet yet (--team makes one)."
            )
        case _:
            raise CommandError(
                f"{name} is a user and a team. Give --team for the team; grant to the user in the admin."
            )


def member_of_staff(name: str) -> AbstractBaseUser:
    """The one of that log-in name. Raises CommandError for nobody, and for somebody who is no (active) staff."""
    users = get_user_model()
    found = users._default_manager.filter(**{users.USERNAME_FIELD: name}).first()
    if found is None or not (found.is_active and getattr(found, "is_staff", False)):
        raise CommandError(f"There is no member of staff {name}.")
    return found
