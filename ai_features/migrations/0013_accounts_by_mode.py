from typing import Any

from django.db import migrations, models


def tell_modes(apps: Any, schema_editor: Any) -> None:
    """Where all money is of one mode, so are the days closed before. Else they mixed what is none with what is, and are
    worked out again when accounts are closed next."""
    days = apps.get_model("ai_features", "AccountDay").objects
    purchases = apps.get_model("ai_features", "Purchase").objects.filter(completed_at__isnull=False)
    payouts = apps.get_model("ai_features", "Payout").objects
    modes = {mode for of in (purchases, payouts) for mode in of.order_by().values_list("mode", flat=True).distinct()}
    if len(modes) == 1:
        days.exclude(currency="").update(mode=modes.pop())
    elif modes:
        forget(apps, schema_editor)


def forget(apps: Any, schema_editor: Any) -> None:
    apps.get_model("ai_features", "AccountDay").objects.all().delete()
    apps.get_model("ai_features", "LotMark").objects.all().delete()


class Migration(migrations.Migration):
    dependencies = [("ai_features", "0012_over_http")]

    operations = [
        migrations.AddField(
            model_name="accountday",
            name="mode",
            field=models.CharField(
                blank=True, choices=[("test", "test"), ("live", "live")], default="", max_length=4, verbose_name="mode"
            ),
        ),
        migrations.AlterModelOptions(
            name="accountday",
            options={
                "ordering": ["-day", "currency", "mode"],
                "verbose_name": "day of the accounts",
                "verbose_name_plural": "accounts",
            },
        ),
        migrations.RemoveConstraint(model_name="accountday", name="ai_account_day_once"),
        migrations.AddConstraint(
            model_name="accountday",
            constraint=models.UniqueConstraint(fields=("day", "currency", "mode"), name="ai_account_day_once"),
        ),
        migrations.RunPython(tell_modes, forget),
    ]
