from tests.ai_features.api.conftest import anonymous, api, other_api, paid
from tests.ai_features.web.conftest import browser, others_browser

__all__ = ["anonymous", "api", "browser", "other_api", "others_browser", "paid"]
