-- Moments are milliseconds since 1970 on the sandbox's clock; amounts are integers of the subunit.

CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE integrations (
    id INTEGER PRIMARY KEY,
    secret_key TEXT NOT NULL UNIQUE,
    currencies TEXT NOT NULL,
    webhook_url TEXT
);

CREATE TABLE customers (
    id INTEGER PRIMARY KEY,
    integration_id INTEGER NOT NULL REFERENCES integrations,
    code TEXT NOT NULL UNIQUE,
    email TEXT NOT NULL,
    first_name TEXT,
    last_name TEXT,
    phone TEXT,
    metadata TEXT,
    risk_action TEXT NOT NULL DEFAULT 'default',
    created_at INTEGER NOT NULL,
    updated_at INTEGER,
    -- What the customer is to be identified by, and how it ended; null while nobody asked.
    identification TEXT,
    UNIQUE (integration_id, email)
);
CREATE INDEX customers_by_integration ON customers (integration_id);

CREATE TABLE transactions (
    id INTEGER PRIMARY KEY,
    integration_id INTEGER NOT NULL REFERENCES integrations,
    customer_id INTEGER NOT NULL REFERENCES customers,
    reference TEXT NOT NULL,
    reference_key TEXT NOT NULL,
    access_code TEXT NOT NULL UNIQUE,
    status TEXT NOT NULL,
    currency TEXT NOT NULL,
    amount INTEGER NOT NULL,
    requested_amount INTEGER NOT NULL,
    channel TEXT,
    channels TEXT,
    callback_url TEXT,
    label TEXT,
    metadata TEXT NOT NULL,
    message TEXT,
    gateway_response TEXT NOT NULL,
    fees INTEGER,
    ip_address TEXT,
    authorization TEXT NOT NULL DEFAULT '{}',
    log TEXT,
    -- What the payer is doing right now: instrument, answers so far and the step asked for; null when idle.
    pending TEXT,
    created_at INTEGER NOT NULL,
    paid_at INTEGER,
    -- How it began: initialize, charge, charge_authorization, partial_debit, subscription, card_update.
    origin TEXT NOT NULL DEFAULT 'initialize',
    plan_id INTEGER REFERENCES plans,
    invoice_limit INTEGER,
    subscription_id INTEGER REFERENCES subscriptions,
    settlement_id INTEGER REFERENCES settlements,
    UNIQUE (integration_id, reference_key)
);
-- An index ends with the rowid, so each of these gives its rows in the order of their ids.
CREATE INDEX transactions_by_integration ON transactions (integration_id);
CREATE INDEX transactions_by_status ON transactions (integration_id, status);
CREATE INDEX transactions_by_reference ON transactions (reference_key);
-- These two hold what sums need, so that a total reads no rows.
CREATE INDEX transactions_by_customer ON transactions (customer_id, id, status, currency, amount);
CREATE INDEX transactions_by_time ON transactions (integration_id, created_at, status, currency, amount);
CREATE INDEX transactions_by_settlement ON transactions (settlement_id) WHERE settlement_id IS NOT NULL;
CREATE INDEX transactions_unsettled ON transactions (integration_id, currency)
    WHERE paid_at IS NOT NULL AND settlement_id IS NULL;

-- Counts and volumes, kept by triggers, so that a list's total doesn't read the whole list.
CREATE TABLE transaction_totals (
    integration_id INTEGER NOT NULL,
    status TEXT NOT NULL,
    currency TEXT NOT NULL,
    channel TEXT NOT NULL,
    transactions INTEGER NOT NULL,
    volume INTEGER NOT NULL,
    PRIMARY KEY (integration_id, status, currency, channel)
) WITHOUT ROWID;
CREATE TABLE customer_totals (
    customer_id INTEGER NOT NULL,
    currency TEXT NOT NULL,
    transactions INTEGER NOT NULL,
    volume INTEGER NOT NULL,
    PRIMARY KEY (customer_id, currency)
) WITHOUT ROWID;
CREATE TRIGGER transactions_added AFTER INSERT ON transactions BEGIN
    INSERT INTO transaction_totals
    VALUES (NEW.integration_id, NEW.status, NEW.currency, ifnull(NEW.channel, ''), 1, NEW.amount)
    ON CONFLICT (integration_id, status, currency, channel)
    DO UPDATE SET transactions = transactions + 1, volume = volume + excluded.volume;
END;
CREATE TRIGGER transactions_changed AFTER UPDATE OF status, channel, amount ON transactions
WHEN (OLD.status, OLD.channel, OLD.amount) IS NOT (NEW.status, NEW.channel, NEW.amount) BEGIN
    UPDATE transaction_totals SET transactions = transactions - 1, volume = volume - OLD.amount
    WHERE integration_id = OLD.integration_id AND status = OLD.status AND currency = OLD.currency
    AND channel = ifnull(OLD.channel, '');
    INSERT INTO transaction_totals
    VALUES (NEW.integration_id, NEW.status, NEW.currency, ifnull(NEW.channel, ''), 1, NEW.amount)
    ON CONFLICT (integration_id, status, currency, channel)
    DO UPDATE SET transactions = transactions + 1, volume = volume + excluded.volume;
END;
CREATE TRIGGER transactions_paid AFTER UPDATE OF paid_at ON transactions
WHEN OLD.paid_at IS NULL AND NEW.paid_at IS NOT NULL BEGIN
    INSERT INTO customer_totals VALUES (NEW.customer_id, NEW.currency, 1, NEW.amount)
    ON CONFLICT (customer_id, currency)
    DO UPDATE SET transactions = transactions + 1, volume = volume + excluded.volume;
END;

CREATE TABLE authorizations (
    id INTEGER PRIMARY KEY,
    integration_id INTEGER NOT NULL REFERENCES integrations,
    customer_id INTEGER NOT NULL REFERENCES customers,
    code TEXT NOT NULL UNIQUE,
    -- The object as Paystack shows it, and the instrument behind it.
    data TEXT NOT NULL,
    instrument TEXT NOT NULL,
    reusable INTEGER NOT NULL,
    active INTEGER NOT NULL DEFAULT 1,
    -- Set by the control route: the bank's refusal, what the account holds, whether it asks for approval.
    declines TEXT,
    balance INTEGER,
    asks_approval INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL
);
CREATE INDEX authorizations_by_customer ON authorizations (customer_id);

CREATE TABLE refunds (
    id INTEGER PRIMARY KEY,
    integration_id INTEGER NOT NULL REFERENCES integrations,
    transaction_id INTEGER NOT NULL REFERENCES transactions,
    dispute_id INTEGER REFERENCES disputes,
    settlement_id INTEGER REFERENCES settlements,
    amount INTEGER NOT NULL,
    currency TEXT NOT NULL,
    status TEXT NOT NULL,
    ends TEXT NOT NULL,
    customer_note TEXT NOT NULL,
    merchant_note TEXT NOT NULL,
    refund_reference TEXT,
    account_details TEXT,
    expected_at INTEGER NOT NULL,
    refunded_at INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
);
CREATE INDEX refunds_by_integration ON refunds (integration_id);
CREATE INDEX refunds_by_transaction ON refunds (transaction_id);

CREATE TABLE disputes (
    id INTEGER PRIMARY KEY,
    integration_id INTEGER NOT NULL REFERENCES integrations,
    transaction_id INTEGER NOT NULL REFERENCES transactions,
    refund_amount INTEGER NOT NULL,
    status TEXT NOT NULL,
    resolution TEXT,
    category TEXT NOT NULL,
    attachments TEXT,
    evidence TEXT,
    history TEXT NOT NULL,
    messages TEXT NOT NULL,
    due_at INTEGER NOT NULL,
    resolved_at INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
);
CREATE INDEX disputes_by_integration ON disputes (integration_id);
CREATE INDEX disputes_by_transaction ON disputes (transaction_id);

CREATE TABLE plans (
    id INTEGER PRIMARY KEY,
    integration_id INTEGER NOT NULL REFERENCES integrations,
    code TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    description TEXT,
    amount INTEGER NOT NULL,
    currency TEXT NOT NULL,
    interval TEXT NOT NULL,
    invoice_limit INTEGER NOT NULL,
    send_invoices INTEGER NOT NULL,
    send_sms INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
);
CREATE INDEX plans_by_integration ON plans (integration_id);

CREATE TABLE subscriptions (
    id INTEGER PRIMARY KEY,
    integration_id INTEGER NOT NULL REFERENCES integrations,
    customer_id INTEGER NOT NULL REFERENCES customers,
    plan_id INTEGER NOT NULL REFERENCES plans,
    authorization_id INTEGER NOT NULL REFERENCES authorizations,
    code TEXT NOT NULL UNIQUE,
    email_token TEXT NOT NULL,
    status TEXT NOT NULL,
    amount INTEGER NOT NULL,
    interval TEXT NOT NULL,
    invoice_limit INTEGER NOT NULL,
    payments_count INTEGER NOT NULL DEFAULT 0,
    cron_expression TEXT NOT NULL,
    anchor_day INTEGER NOT NULL,
    next_payment_at INTEGER,
    cancelled_at INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
);
CREATE INDEX subscriptions_by_integration ON subscriptions (integration_id);
CREATE INDEX subscriptions_by_plan ON subscriptions (plan_id);
CREATE INDEX subscriptions_by_customer ON subscriptions (customer_id);

CREATE TABLE invoices (
    id INTEGER PRIMARY KEY,
    integration_id INTEGER NOT NULL REFERENCES integrations,
    subscription_id INTEGER NOT NULL REFERENCES subscriptions,
    transaction_id INTEGER REFERENCES transactions,
    code TEXT NOT NULL UNIQUE,
    amount INTEGER NOT NULL,
    status TEXT NOT NULL,
    period_start INTEGER NOT NULL,
    period_end INTEGER NOT NULL,
    paid_at INTEGER,
    created_at INTEGER NOT NULL
);
CREATE INDEX invoices_by_subscription ON invoices (subscription_id);

CREATE TABLE settlements (
    id INTEGER PRIMARY KEY,
    integration_id INTEGER NOT NULL REFERENCES integrations,
    status TEXT NOT NULL,
    currency TEXT NOT NULL,
    total_processed INTEGER NOT NULL,
    total_fees INTEGER NOT NULL,
    effective_amount INTEGER NOT NULL,
    settlement_date INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
);
CREATE INDEX settlements_by_integration ON settlements (integration_id);

CREATE TABLE ledger_entries (
    id INTEGER PRIMARY KEY,
    integration_id INTEGER NOT NULL REFERENCES integrations,
    currency TEXT NOT NULL,
    difference INTEGER NOT NULL,
    balance INTEGER NOT NULL,
    reason TEXT NOT NULL,
    model_responsible TEXT NOT NULL,
    model_row INTEGER NOT NULL,
    created_at INTEGER NOT NULL
);
CREATE INDEX ledger_entries_by_currency ON ledger_entries (integration_id, currency);
CREATE INDEX ledger_entries_by_integration ON ledger_entries (integration_id);

-- Exports, which remember their query, and what was uploaded for a dispute.
CREATE TABLE files (
    name TEXT PRIMARY KEY,
    integration_id INTEGER NOT NULL REFERENCES integrations,
    kind TEXT NOT NULL,
    query TEXT,
    content BLOB,
    expires_at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE timers (
    id INTEGER PRIMARY KEY,
    due_at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    subject_id INTEGER NOT NULL,
    UNIQUE (kind, subject_id)
);
CREATE INDEX timers_by_due ON timers (due_at);

CREATE TABLE webhooks (
    id INTEGER PRIMARY KEY,
    integration_id INTEGER NOT NULL REFERENCES integrations,
    event TEXT NOT NULL,
    reference TEXT,
    url TEXT,
    body BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    first_attempt_at INTEGER NOT NULL,
    next_attempt_at INTEGER,
    delivered INTEGER NOT NULL DEFAULT 0,
    retries INTEGER NOT NULL DEFAULT 0,
    -- The id of what the event is about.
    row_id INTEGER
);
CREATE INDEX webhooks_by_integration ON webhooks (integration_id);
CREATE INDEX webhooks_by_row ON webhooks (row_id);
CREATE INDEX webhooks_by_reference ON webhooks (reference);
CREATE INDEX webhooks_by_due ON webhooks (next_attempt_at) WHERE next_attempt_at IS NOT NULL;

CREATE TABLE webhook_attempts (
    id INTEGER PRIMARY KEY,
    webhook_id INTEGER NOT NULL REFERENCES webhooks ON DELETE CASCADE,
    at INTEGER NOT NULL,
    status INTEGER,
    error TEXT,
    response TEXT,
    fault TEXT
);
CREATE INDEX webhook_attempts_by_webhook ON webhook_attempts (webhook_id, id);
