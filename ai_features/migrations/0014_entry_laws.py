from copy import copy
from typing import Any

from django.db import migrations

from ai_features.models import entry_laws


def use_triggers(apps: Any, schema_editor: Any) -> None:
    """What the models say stays the same, and so does SQLite."""
    if schema_editor.connection.vendor == "postgresql":
        for statement in entry_laws.create_statements():
            schema_editor.execute(statement, params=None)
        entry = apps.get_model("ai_features", "LedgerEntry")
        for field, without in _fields(entry):
            schema_editor.alter_field(entry, field, without)
        for constraint in _checks(entry):
            schema_editor.remove_constraint(entry, constraint)


def use_constraints(apps: Any, schema_editor: Any) -> None:
    if schema_editor.connection.vendor == "postgresql":
        entry = apps.get_model("ai_features", "LedgerEntry")
        for constraint in _checks(entry):
            schema_editor.add_constraint(entry, constraint)
        for field, without in _fields(entry):
            schema_editor.alter_field(entry, without, field)
        for statement in entry_laws.drop_statements():
            schema_editor.execute(statement, params=None)


def _fields(entry: Any) -> list[tuple[Any, Any]]:
    """Each with its like that has no foreign key."""
    found = []
    for column in entry_laws.REFERRED:
        field = entry._meta.get_field(column.removesuffix("_id"))
        without = copy(field)
        without.db_constraint = False
        found.append((field, without))
    return found


def _checks(entry: Any) -> list[Any]:
    return [one for one in entry._meta.constraints if one.name in entry_laws.CONSTRAINTS]


class Migration(migrations.Migration):

    dependencies = [
        ('ai_features', '0013_accounts_by_mode'),
    ]

    operations = [
        migrations.RunPython(use_triggers, use_constraints),
    ]
