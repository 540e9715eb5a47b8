class PaystackSandbox:
    pass
