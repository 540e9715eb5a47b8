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
    UNIQUE (integration_id, email)
);

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
    UNIQUE (integration_id, reference_key)
);
-- An index ends with the rowid, so each of these gives its rows in the order of their ids.
CREATE INDEX transactions_by_integration ON transactions (integration_id);
CREATE INDEX transactions_by_customer ON transactions (customer_id);
CREATE INDEX transactions_by_status ON transactions (integration_id, status);
CREATE INDEX transactions_by_reference ON transactions (reference_key);

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
    retries INTEGER NOT NULL DEFAULT 0
);
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
