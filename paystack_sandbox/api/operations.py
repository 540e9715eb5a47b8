"""Which operations of Paystack's API the sandbox has. What is not in this table is answered as such.

`sure` on each row feeds docs/SANDBOX_API.md; its brackets name sections of the facts page.
"""

from paystack_sandbox.api import (
    charges,
    customers,
    disputes,
    exports,
    plans,
    refunds,
    saved_charges,
    subscriptions,
    transactions,
)
from paystack_sandbox.api.banks import list_banks, list_countries
from paystack_sandbox.api.call import Route
from paystack_sandbox.api.initialize import initialize

# `path` where the value may hold a slash that was sent encoded: it is refused by name, not by a 404.
ROUTES: tuple[Route, ...] = (
    Route("POST", "/transaction/initialize", initialize, "seen"),
    Route(
        "POST",
        "/transaction/charge_authorization",
        saved_charges.charge_authorization,
        "documented sample, errors seen; a declined charge and `queue` are unconfirmed",
    ),
    Route(
        "POST",
        "/transaction/partial_debit",
        saved_charges.partial_debit,
        "documented sample, one error seen; `at_least` is unconfirmed",
    ),
    Route("GET", "/transaction/verify/{reference:path}", transactions.verify, "seen"),
    Route("GET", "/transaction", transactions.list_transactions, "seen"),
    Route("GET", "/transaction/totals", transactions.totals, "documented sample"),
    Route(
        "GET",
        "/transaction/export",
        exports.export_transactions,
        "documented sample; the columns of the CSV are the sandbox's own",
    ),
    Route(
        "GET",
        "/transaction/timeline/{id_or_reference:path}",
        transactions.timeline,
        "documented sample",
    ),
    Route("GET", "/transaction/{id}", transactions.fetch, "documented sample, errors seen"),
    Route(
        "POST",
        "/charge",
        charges.charge,
        "documented samples, mobile money seen; the error without an instrument is unconfirmed",
    ),
    Route("POST", "/charge/submit_pin", charges.submit_pin, "seen"),
    Route("POST", "/charge/submit_otp", charges.submit_otp, "seen"),
    Route("POST", "/charge/submit_phone", charges.submit_phone, "documented sample"),
    Route("POST", "/charge/submit_birthday", charges.submit_birthday, "documented sample"),
    Route(
        "POST",
        "/charge/submit_address",
        charges.submit_address,
        "documented sample; which card asks is the sandbox's own",
    ),
    Route("GET", "/charge/{reference:path}", charges.check, "documented sample"),
    Route("POST", "/capitec-pay/requery/{reference}", charges.requery_capitec, "documented sample"),
    Route("GET", "/capitec-pay/requery/{reference}", charges.requery_capitec, "documented sample"),
    Route("POST", "/customer", customers.create, "documented sample; a second time with the same email is unconfirmed"),
    Route("GET", "/customer", customers.list_customers, "documented sample"),
    Route("POST", "/customer/set_risk_action", customers.set_risk_action, "documented sample"),
    Route(
        "POST",
        "/customer/authorization/deactivate",
        customers.deactivate_authorization,
        "documented sample, what verify then says seen",
    ),
    Route(
        "POST",
        "/customer/{code}/identification",
        customers.identify,
        "documented sample; who passes is the documentation's samples, the delay unconfirmed",
    ),
    Route(
        "GET",
        "/customer/{email_or_code}",
        customers.fetch,
        "documented sample; what stands in `transactions` and `subscriptions` is unconfirmed",
    ),
    Route("PUT", "/customer/{code}", customers.update, "documented sample"),
    Route(
        "POST", "/refund", refunds.create, "documented sample, errors and first status seen; the times are unconfirmed"
    ),
    Route("GET", "/refund", refunds.list_refunds, "documented sample and OpenAPI document, filters seen"),
    Route("POST", "/refund/retry_with_customer_details/{id}", refunds.retry, "documented sample"),
    Route("GET", "/refund/{id}", refunds.fetch, "documented sample and OpenAPI document"),
    Route("POST", "/plan", plans.create, "documented sample, one error seen"),
    Route("GET", "/plan", plans.list_plans, "documented sample and OpenAPI document"),
    Route("GET", "/plan/{code}", plans.fetch, "documented sample and OpenAPI document"),
    Route("PUT", "/plan/{code}", plans.update, "documented sample"),
    Route(
        "POST",
        "/subscription",
        subscriptions.create,
        "seen; that it is charged at once without `start_date` is unconfirmed",
    ),
    Route("GET", "/subscription", subscriptions.list_subscriptions, "documented sample, filters seen"),
    Route("POST", "/subscription/disable", subscriptions.disable, "seen"),
    Route("POST", "/subscription/enable", subscriptions.enable, "documented sample, the error seen"),
    Route(
        "GET",
        "/subscription/{code}/manage/link",
        subscriptions.manage_link,
        "documented sample; where the link leads is the sandbox's own",
    ),
    Route(
        "POST",
        "/subscription/{code}/manage/email",
        subscriptions.manage_email,
        "documented sample; nothing is sent",
    ),
    Route("GET", "/subscription/{code}", subscriptions.fetch, "documented sample and OpenAPI document"),
    Route("GET", "/dispute", disputes.list_disputes, "documented sample"),
    Route(
        "GET", "/dispute/export", exports.export_disputes, "documented sample, the error seen; the columns are our own"
    ),
    Route("GET", "/dispute/transaction/{id}", disputes.of_transaction, "documented sample"),
    Route("GET", "/dispute/{id}", disputes.fetch, "documented sample; no recording has a dispute"),
    Route("PUT", "/dispute/{id}", disputes.update, "OpenAPI document; an older sample has a list in `data`"),
    Route("POST", "/dispute/{id}/evidence", disputes.add_evidence, "documented sample"),
    Route("GET", "/dispute/{id}/upload_url", disputes.upload_url, "documented sample"),
    Route("PUT", "/dispute/{id}/resolve", disputes.resolve, "OpenAPI document and documented sample"),
    Route(
        "GET",
        "/bank",
        list_banks,
        "documented sample; `longcode` and dates of Ghana's rows are placeholders",
        needs_key=False,
    ),
    Route("GET", "/country", list_countries, "documented sample", needs_key=False),
)
