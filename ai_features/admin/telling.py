"""A reference's story on the pages of the admin."""

from __future__ import annotations

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.timezone import localtime
from django.utils.translation import gettext as _

from ai_features.billing import story


def story_of(reference: str) -> SafeString:
    """As `manage.py paystack_status` tells it, without asking Paystack; what to do next comes first."""
    told = story.tell(reference)
    steps = format_html_join(
        "",
        "<tr><td>{}</td><td>{}</td></tr>",
        [(f"{localtime(step.at):%Y-%m-%d %H:%M:%S}", step.what) for step in told.steps],
    )
    advice = format_html_join("", "<p>→ {}</p>", [(step,) for step in told.next_steps])
    return format_html(
        "<p>{}</p><p><strong>{}</strong></p>{}<table>{}</table>",
        told.headline,
        _("What to do next:"),
        advice,
        steps,
    )
