from django.contrib import admin
from django.contrib.auth import views as auth_views
from django.urls import include, path
from django.views.generic import RedirectView

from ai_features import health, metrics
from ai_features.logins import guarded

log_in = guarded(auth_views.LoginView.as_view(template_name="ai_features/login.html", redirect_authenticated_user=True))

urlpatterns = [
    path("ai/", include("ai_features.urls")),
    path("", include("ai_features.web.urls")),
    path("accounts/login/", log_in, name="login"),
    path("accounts/logout/", auth_views.LogoutView.as_view(), name="logout"),
    path("", RedirectView.as_view(pattern_name="ai_features_web:buy")),
    path("admin/login/", guarded(admin.site.login)),
    path("admin/", admin.site.urls),
    path("healthz", health.healthz),
    path("readyz", health.readyz),
    path("metrics", metrics.metrics),
]

handler400 = "ai_features.errors.bad_request"
handler404 = "ai_features.errors.page_not_found"
handler500 = "ai_features.errors.server_error"
