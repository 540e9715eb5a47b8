"""`python -m paystack_sandbox`, the same as the command `paystack-sandbox`."""

from paystack_sandbox.cli import main

main()
