"""The reference project."""

SECRET_KEY = "placeholder"
INSTALLED_APPS: list[str] = []
