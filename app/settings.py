"""Settings of the reference project, read from the environment and from `.env` beside manage.py.

Every variable is described in `.env.example`.
"""

from datetime import timedelta
from pathlib import Path
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured

from app import csp, logs

BASE_DIR = Path(__file__).resolve().parent.parent

env = environ.Env()
env.read_env(BASE_DIR / ".env")

DEBUG = env.bool("DEBUG", default=False)
# In a checkout without .env the key is a constant, so that sessions survive a restart of the demo;
# `check --deploy` (security.W009) refuses it for production.
SECRET_KEY = env.str("SECRET_KEY", default="") or "django-insecure-set-SECRET_KEY-in-your-environment"
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["127.0.0.1", "localhost", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "csp",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django_tasks",
    "django_tasks_db",
    "rest_framework",
    "knox",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "ai_features",
    "app",
]

MIDDLEWARE = [
    "app.middleware.RequestId",
    "django.middleware.security.SecurityMiddleware",
    "ai_features.lean.TokenRequestsFirst",
    "csp.middleware.CSPMiddleware",
    "app.middleware.BrowserHeaders",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "app.middleware.NulRefused",
]

ROOT_URLCONF = "app.urls"
WSGI_APPLICATION = "app.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

try:
    DATABASES = {"default": env.db_url("DATABASE_URL", default=f"sqlite:///{BASE_DIR / 'db.sqlite3'}")}
    DATABASES["default"]["ENGINE"]
except (KeyError, ValueError):
    # Whatever it is may hold a password.
    raise ImproperlyConfigured("DATABASE_URL is not like postgres://user:password@host:5432/name.") from None
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"]["OPTIONS"] = {
        # A transaction that reads first and writes later cannot wait for another writer in SQLite's default
        # mode, it fails; IMMEDIATE takes the write lock at the start and waits up to `timeout` seconds.
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
    }
else:
    DATABASES["default"]["CONN_MAX_AGE"] = env.int("CONN_MAX_AGE", default=60)
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
    # How often a connection sends a statement of the credit engine before it prepares it; empty: always (old poolers).
    _threshold = env.str("PREPARE_THRESHOLD", default="5")
    DATABASES["default"].setdefault("OPTIONS", {})["prepare_threshold"] = int(_threshold) if _threshold else None

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "/credits/"
LOGOUT_REDIRECT_URL = "/credits/"

LANGUAGE_CODE = "en"
TIME_ZONE = env.str("TIME_ZONE", default="Africa/Accra")
USE_I18N = True
USE_TZ = True

STATIC_URL = "static/"
# Unset: served straight from the packages, so that a fresh checkout needs no collectstatic.
STATIC_ROOT = env.str("STATIC_ROOT", default="") or None
WHITENOISE_USE_FINDERS = STATIC_ROOT is None

# Receipts and notices; `smtp+tls://user:password@host:587`.
globals().update(env.email_url("EMAIL_URL", default="consolemail://"))
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = env.str("FROM_EMAIL", default="") or "credits@localhost"

# Rate limits are counted here. Django's 300 entries would be pushed out by whoever tries many names.
CACHES: dict[str, dict[str, Any]] = {
    "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "OPTIONS": {"MAX_ENTRIES": 100_000}},
}

TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}

REST_FRAMEWORK = {
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "NUM_PROXIES": env.int("PROXY_COUNT", default=0),
}
REST_KNOX = {"TOKEN_TTL": timedelta(days=env.int("TOKEN_DAYS", default=90))}
SPECTACULAR_SETTINGS = {
    "TITLE": "AI credits",
    "DESCRIPTION": "Buy prepaid credits through Paystack and spend them call by call.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
}

# Behind a proxy that terminates TLS and sets X-Forwarded-Proto.
if env.bool("HTTPS", default=False):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_SSL_REDIRECT = True
    SECURE_REDIRECT_EXEMPT = [r"^(healthz|readyz|metrics)$"]
    SECURE_HSTS_SECONDS = env.int("HSTS_SECONDS", default=31_536_000)
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
    SESSION_COOKIE_SECURE = True
    CSRF_COOKIE_SECURE = True

PAYSTACK_SECRET_KEY = env.str("PAYSTACK_SECRET_KEY", default="")
PAYSTACK_PUBLIC_KEY = env.str("PAYSTACK_PUBLIC_KEY", default="")
PAYSTACK_PREVIOUS_SECRET_KEYS = env.list("PAYSTACK_PREVIOUS_SECRET_KEYS", default=[])
PAYSTACK_BASE_URL = env.str("PAYSTACK_BASE_URL", default="") or "https://api.paystack.co"

CONTENT_SECURITY_POLICY = csp.policy(PAYSTACK_BASE_URL)

AI_CREDITS = {
    "CURRENCY": env.str("CURRENCY", default="GHS"),
    "MERCHANT_NAME": env.str("MERCHANT_NAME", default="AI Credits"),
    "SUPPORT_EMAIL": env.str("SUPPORT_EMAIL", default=""),
    "CALLBACK_HOSTS": env.list("CALLBACK_HOSTS", default=[]),
    "PROXY_COUNT": env.int("PROXY_COUNT", default=0),
    "METRICS_TOKEN": env.str("METRICS_TOKEN", default=""),
    "RECEIPT_EMAILS": env.bool("RECEIPT_EMAILS", default=False),
    "RECONCILE_EVERY_SECONDS": env.int("RECONCILE_EVERY_SECONDS", default=60),
    "RECONCILE_REQUESTS_A_MINUTE": env.int("RECONCILE_REQUESTS_A_MINUTE", default=60),
}

LOGGING = logs.configuration(env.str("LOG_FORMAT", default="line"), env.str("LOG_LEVEL", default="INFO"))
