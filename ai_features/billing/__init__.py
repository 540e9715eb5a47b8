"""Where money becomes credits. `AIBillingService` is the door; the other modules are its rooms."""

from ai_features.billing.pricing import Use
from ai_features.billing.service import AIBillingService

__all__ = ["AIBillingService", "Use"]
