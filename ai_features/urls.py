"""The JSON API; include it at `ai/`."""

from django.urls import path

from ai_features import documents, views

app_name = "ai_features"

urlpatterns = [
    path("api/token/", views.TokenView.as_view(), name="token"),
    path("api/credits/packages/", views.PackagesView.as_view(), name="packages"),
    path("api/credits/purchase/", views.PurchaseView.as_view(), name="purchase"),
    path("api/credits/verify/", views.VerifyView.as_view(), name="verify"),
    path("api/credits/balance/", views.BalanceView.as_view(), name="balance"),
    path("api/credits/spend/", views.SpendView.as_view(), name="spend"),
    path("api/credits/reservations/", views.ReservationsView.as_view(), name="reservations"),
    path("api/credits/reservations/<int:reservation_id>/capture/", views.CaptureView.as_view(), name="capture"),
    path("api/credits/reservations/<int:reservation_id>/release/", views.ReleaseView.as_view(), name="release"),
    path("api/credits/reservations/<int:reservation_id>/renew/", views.RenewView.as_view(), name="renew"),
    path("api/check-availability/", views.AvailabilityView.as_view(), name="check-availability"),
    path("api/usage/stats/", views.UsageStatsView.as_view(), name="usage-stats"),
    path("api/credits/purchases/", views.PurchasesView.as_view(), name="purchases"),
    path("api/transactions/", views.TransactionsView.as_view(), name="transactions"),
    path("api/payment-methods/", views.PaymentMethodsView.as_view(), name="payment-methods"),
    path("api/webhooks/paystack/", views.paystack_webhook, name="webhook"),
    # Whether Paystack follows a redirect to the slash is not known; a payment must not hang on it.
    path("api/webhooks/paystack", views.paystack_webhook),
    path("api/schema/", documents.SchemaView.as_view(), name="schema"),
    path("api/docs/", documents.DocsView.as_view(), name="docs"),
]
