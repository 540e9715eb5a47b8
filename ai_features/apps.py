from django.apps import AppConfig
from django.db.models.signals import post_migrate


class AIFeaturesConfig(AppConfig):
    name = "ai_features"
    verbose_name = "AI credits"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from ai_features import checks  # noqa: F401, PLC0415  registers the system checks
        from ai_features.billing.ledger import hot_path  # noqa: PLC0415  models load after apps
        from ai_features.models import defaults, triggers  # noqa: PLC0415  models load after apps

        post_migrate.connect(triggers.install, sender=self)
        post_migrate.connect(hot_path.install, sender=self)
        post_migrate.connect(defaults.create_packages, sender=self)
