"""A host that includes our pages and logs people in with something other than Django's views."""

from django.urls import include, path

urlpatterns = [path("", include("ai_features.web.urls"))]
