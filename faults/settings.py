"""Settings of the processes under fire: the reference project's, on the database that FAULTS_DATABASE names."""

import json
import os

from app.settings import *  # noqa: F403
from app.settings import AI_CREDITS, DATABASES

DATABASES["default"] = json.loads(os.environ["FAULTS_DATABASE"]) | {"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True}
# Hundreds of buyers log in from one address, at once, on a small machine.
AI_CREDITS["THROTTLE_RATES"] = dict.fromkeys(("token", "purchase", "verify", "callback"), "100000/min")
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
