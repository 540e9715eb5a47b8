"""The pages; include at the root."""

from django.urls import path

from ai_features.web.buy import buy
from ai_features.web.callback import callback
from ai_features.web.receipt import receipt
from ai_features.web.wallet import wallet

app_name = "ai_features_web"

urlpatterns = [
    path("credits/", buy, name="buy"),
    path("payment/callback", callback, name="callback"),
    path("payment/callback/", callback),
    path("credits/wallet/", wallet, name="wallet"),
    path("credits/purchases/<str:reference>/", receipt, name="receipt"),
]
