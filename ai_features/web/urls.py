"""The pages; include at the root."""

from django.urls import URLPattern

app_name = "ai_features_web"
urlpatterns: list[URLPattern] = []
