"""HTTP to Paystack and the signatures of its webhooks, nothing else.

    service.py     PaystackService: one method for each thing this project asks of Paystack
    answers.py     what comes back, as frozen values; reads every odd shape Paystack is known to send
    reversals.py   the same for refunds and disputes
    connection.py  one call: pool, deadline, which failures are tried again and why, one log line
    replies.py     one HTTP reply to an envelope or to one of our errors
    transport.py   sockets that know when the whole call must be over
    keys.py        the secret key, which no repr, pickle or traceback shows

Imports no models and no database: it can be used without the rest of this package.
"""

from ai_features.paystack.answers import Bank, InitializedTransaction, Transaction, TransactionPage
from ai_features.paystack.connection import within
from ai_features.paystack.payouts import Deduction, PaidOut
from ai_features.paystack.replies import RateLimit
from ai_features.paystack.reversals import PaystackDispute, PaystackRefund
from ai_features.paystack.service import PaystackService

__all__ = [
    "Bank",
    "Deduction",
    "InitializedTransaction",
    "PaidOut",
    "PaystackDispute",
    "PaystackRefund",
    "PaystackService",
    "RateLimit",
    "Transaction",
    "TransactionPage",
    "within",
]
