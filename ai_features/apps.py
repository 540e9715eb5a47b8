from django.apps import AppConfig
from django.db.models.signals import post_migrate


class AIFeaturesConfig(AppConfig):
    name = "ai_features"
    verbose_name = "AI credits"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # Here, because models load after apps; `checks` registers itself.
        from ai_features import checks, lean, logins  # noqa: F401, PLC0415
        from ai_features.billing import balances  # noqa: PLC0415
        from ai_features.billing.ledger import functions  # noqa: PLC0415
        from ai_features.models import defaults, triggers  # noqa: PLC0415

        post_migrate.connect(triggers.install, sender=self)
        post_migrate.connect(functions.install, sender=self)
        post_migrate.connect(balances.install, sender=self)
        post_migrate.connect(lean.install, sender=self)
        post_migrate.connect(defaults.create_packages, sender=self)
