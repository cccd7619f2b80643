"""Settings. Everything that differs between installations is an environment variable, read here only."""

from __future__ import annotations

import os
import secrets
import warnings
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from celery.schedules import crontab
from csp.constants import NONCE, NONE, SELF
from django.core.exceptions import ImproperlyConfigured
from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

from sensorapp import env
from sensorapp.stack import paths

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = paths.var_folder()


def local_secret_key() -> str:
    """A key of this installation's own, made at the first start and kept below ``var/``."""
    path = VAR_DIR / "secret-key"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        # Linked in place when it is complete: of several first starts at once one key lasts, for all of them.
        with NamedTemporaryFile("w", dir=path.parent, prefix="secret-key-") as draft:
            draft.write(secrets.token_urlsafe(50))
            draft.flush()
            with suppress(FileExistsError):
                os.link(draft.name, path)
    if not (key := path.read_text().strip()):
        raise ImproperlyConfigured(
            f"SECRET_KEY: {path} is empty; delete it, and the next start makes a new one"
        )
    return key


def database(url: str) -> dict[str, Any]:
    try:
        parts = conninfo_to_dict(url)
    except ProgrammingError as error:
        raise ImproperlyConfigured(f"DATABASE_URL: {str(error).strip()}") from None
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.pop("dbname", "sensorapp"),
        "USER": parts.pop("user", ""),
        "PASSWORD": parts.pop("password", ""),
        "HOST": parts.pop("host", ""),
        "PORT": parts.pop("port", ""),
        "OPTIONS": parts,
        # Under ASGI a connection that is kept belongs to a thread that may never serve again.
        "CONN_MAX_AGE": 0,
    }


DEBUG = env.boolean("DEBUG", False)
SECRET_KEY = env.text("SECRET_KEY", "") or local_secret_key()
ALLOWED_HOSTS = env.words("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")
CSRF_TRUSTED_ORIGINS = env.words("CSRF_TRUSTED_ORIGINS", "")
DATABASE_URL = env.text("DATABASE_URL", paths.database_url())
REDIS_URL = env.text("REDIS_URL", paths.redis_url())

INSTALLED_APPS = [
    "sensorapp",
    "sensorapp.accounts",
    "sensorapp.fleet",
    "analytics.ingest",
    "analytics.counts",
    "analytics.audit",
    "dashboard",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.humanize",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "channels",
    "csp",
    "django_celery_beat",
    "django_htmx",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
]

ROOT_URLCONF = "sensorapp.urls"
ASGI_APPLICATION = "sensorapp.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "csp.context_processors.nonce",
            ],
        },
    },
]

# --- data ---

DATABASES = {"default": database(DATABASE_URL)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}}
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [REDIS_URL]},
    }
}

# --- people ---

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
ACCOUNT_ADAPTER = "sensorapp.accounts.adapter.InvitedPeopleOnly"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_SESSION_REMEMBER = True
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "dashboard:home"
ACCOUNT_LOGOUT_REDIRECT_URL = LOGIN_URL
EMAIL_BACKEND = env.text("EMAIL_BACKEND", "django.core.mail.backends.console.EmailBackend")
DEFAULT_FROM_EMAIL = env.text("DEFAULT_FROM_EMAIL", "sensorapp@localhost")

# --- headers ---

HTTPS = env.boolean("HTTPS", False)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF, NONCE],
        "style-src": [SELF, NONCE],
        # uPlot and htmx set style attributes; they carry no code.
        "style-src-attr": ["'unsafe-inline'"],
        "img-src": [SELF, "data:"],
        "connect-src": [SELF],
        "object-src": [NONE],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
        "form-action": [SELF],
    }
}

# --- words, times, files ---

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [
    ("vendor/pico", BASE_DIR / "node_modules/@picocss/pico/css"),
    ("vendor/htmx", BASE_DIR / "node_modules/htmx.org/dist"),
    ("vendor/idiomorph", BASE_DIR / "node_modules/idiomorph/dist"),
    ("vendor/uplot", BASE_DIR / "node_modules/uplot/dist"),
]
WHITENOISE_USE_FINDERS = True
# Without `collectstatic` the finders serve everything, and the missing folder is no fault.
warnings.filterwarnings("ignore", "No directory at", UserWarning)

# --- tasks ---

CELERY_BROKER_URL = paths.broker_url(REDIS_URL)
CELERY_RESULT_BACKEND = None
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_TIME_LIMIT = 600
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BEAT_SCHEDULER = "django_celery_beat.schedulers:DatabaseScheduler"
CELERY_BEAT_SCHEDULE = {
    "close-days": {"task": "analytics.counts.tasks.close_days", "schedule": 300},
    "forget-rejections": {"task": "analytics.ingest.tasks.forget_rejections", "schedule": 86_400},
    "create-partitions": {"task": "analytics.ingest.tasks.create_partitions", "schedule": 3600},
    "drop-partitions": {"task": "analytics.ingest.tasks.drop_partitions", "schedule": 3600},
    "expire-set-aside": {"task": "analytics.ingest.tasks.expire_set_aside", "schedule": 86_400},
    "check-buckets": {"task": "analytics.ingest.tasks.check_buckets", "schedule": crontab(hour=3, minute=17)},
    "notice-silent-sensors": {"task": "analytics.ingest.tasks.notice_silent_sensors", "schedule": 60},
}

# --- ingest ---

INGEST_MAX_WAITING_EVENTS = env.integer("INGEST_MAX_WAITING_EVENTS", 1_000_000, 1)
# Who may read /metrics. Without a token, whoever asks from this machine and not through a proxy.
METRICS_TOKEN = env.text("METRICS_TOKEN", "")
# Events further ahead of this machine's clock are set aside until somebody releases them.
INGEST_FUTURE_TOLERANCE_SECONDS = env.integer("INGEST_FUTURE_TOLERANCE_SECONDS", 300, 0, 86_400)
# How fast a sensor and an organisation may send to one web process for longer than a minute; 0 is no limit.
INGEST_SENSOR_EVENTS_PER_SECOND = env.integer("INGEST_SENSOR_EVENTS_PER_SECOND", 10_000, 0)
INGEST_ORGANISATION_EVENTS_PER_SECOND = env.integer("INGEST_ORGANISATION_EVENTS_PER_SECOND", 200_000, 0)
# Batches, and events set aside, are kept for so many days after the day of their receipt; older events are refused.
INGEST_RETENTION_DAYS = env.integer("INGEST_RETENTION_DAYS", 400, 2, 36_500)
# A sensor that has delivered nothing for this long is silent.
SILENT_AFTER_SECONDS = env.integer("SILENT_AFTER_SECONDS", 300, 1, 604_800)

LOG_LEVEL = env.choice("LOG_LEVEL", "INFO", {"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"})
# "plain" for people, "json" for machines: one object a line.
LOG_FORMAT = env.choice("LOG_FORMAT", "plain", {"plain", "json"})
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "plain": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"},
        "json": {"()": "sensorapp.logs.JsonFormatter"},
    },
    "filters": {
        "no addresses": {"()": "sensorapp.logs.NoAddresses"},
        "once a minute": {"()": "sensorapp.logs.OnceAMinute"},
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": LOG_FORMAT}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    "loggers": {
        # An address belongs to a person: uvicorn's log of requests is kept nowhere.
        "uvicorn.access": {"handlers": [], "propagate": False},
        "uvicorn": {"handlers": ["stderr"], "propagate": False},
        # It warns of each attempt to reach a database that is away.
        "psycopg.pool": {"filters": ["once a minute"]},
        "uvicorn.error": {"filters": ["no addresses"], "level": LOG_LEVEL},
    },
}
