from typing import NoReturn

from django.db import OperationalError, connection
from django.test import Client


def test_callback_page_asks_to_come_back_while_the_database_is_away(db: None) -> None:
    def fail(*_: object) -> NoReturn:
        raise OperationalError("the connection is closed")

    with connection.execute_wrapper(fail):
        answer = Client(raise_request_exception=False).get("/payment/callback", {"reference": "AI-CREDIT-1-a"})
    assert answer.status_code == 503
    assert int(answer["Retry-After"]) > 0
