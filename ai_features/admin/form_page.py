"""A page of the admin with one form about one row: what staff does beyond looking."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from ai_features.exceptions import AICreditsError

Pairs = Sequence[tuple[str, Any]]


def form_page(
    model_admin: admin.ModelAdmin[Any],
    request: HttpRequest,
    form: forms.Form,
    *,
    title: str,
    buttons: Pairs,
    row: Model | None = None,
    facts: Pairs = (),
    explanation: str = "",
) -> HttpResponse:
    """`buttons` are names and labels, `facts` what staff should know before pressing one."""
    context = {
        **model_admin.admin_site.each_context(request),
        "form": form,
        "title": title,
        "opts": model_admin.opts,
        "buttons": buttons,
        "facts": facts,
        "explanation": explanation,
        "list_address": list_address(model_admin),
    }
    if row is not None:
        context |= {"row": row, "row_address": row_address(model_admin, row)}
    return render(request, "admin/ai_features/form_page.html", context)


def list_address(model_admin: admin.ModelAdmin[Any]) -> str:
    return reverse(f"admin:ai_features_{model_admin.opts.model_name}_changelist")


def row_address(model_admin: admin.ModelAdmin[Any], row: Model) -> str:
    return reverse(f"admin:ai_features_{model_admin.opts.model_name}_change", args=[row.pk])


def in_words(error: Exception) -> str:
    """What a form says of a refusal."""
    if not isinstance(error, AICreditsError):
        return str(error)
    fields = error.details().get("fields", {})
    return " ".join([error.message, *(text for texts in fields.values() for text in texts)])
