-- Everything the coordinator must not forget. Amounts are nano-USD, times milliseconds since the Unix epoch,
-- identities and keys raw bytes. 64-bit unsigned numbers chosen by clients are stored bit for bit.

-- One row: the last commit applied, so that applying it again is a no-op.
CREATE TABLE state (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    last_commit INTEGER
) STRICT;
INSERT INTO state (one, last_commit) VALUES (1, NULL);

CREATE TABLE accounts (
    account BLOB PRIMARY KEY CHECK (length(account) = 16)
) STRICT, WITHOUT ROWID;

CREATE TABLE kernels (
    module BLOB PRIMARY KEY CHECK (length(module) = 32),
    manifest TEXT NOT NULL,
    rate INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Keys whose kernels may be registered.
CREATE TABLE publishers (
    key BLOB PRIMARY KEY CHECK (length(key) = 32),
    name TEXT NOT NULL,
    added_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Accounts of the double-entry ledger: 'external', 'platform', 'available:<account>', 'held:<session>'.
-- The balance is derived from the journal and checked against it whenever the store is opened.
CREATE TABLE ledger_accounts (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    balance INTEGER NOT NULL
) STRICT;

-- Append-only and hash-chained.
CREATE TABLE journal (
    line INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    kind INTEGER NOT NULL,
    debit INTEGER NOT NULL REFERENCES ledger_accounts (id),
    credit INTEGER NOT NULL REFERENCES ledger_accounts (id),
    amount INTEGER NOT NULL CHECK (amount > 0),
    at_ms INTEGER NOT NULL,
    chain BLOB NOT NULL CHECK (length(chain) = 32)
) STRICT;

CREATE TABLE deposits (
    reference TEXT PRIMARY KEY,
    account BLOB NOT NULL,
    amount INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- since_batch: the last settlement batch before the hold was made; none of its tasks is in an earlier one.
CREATE TABLE holds (
    session BLOB PRIMARY KEY CHECK (length(session) = 16),
    account BLOB NOT NULL,
    number INTEGER NOT NULL,
    budget INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    open INTEGER NOT NULL CHECK (open IN (0, 1)),
    since_batch INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX holds_open ON holds (open) WHERE open = 1;

-- detail: one fixed-size entry per execution, laid out in src/store/detail.rs. One row a second, however many tasks.
CREATE TABLE settlements (
    batch INTEGER PRIMARY KEY,
    root BLOB NOT NULL CHECK (length(root) = 32),
    tasks INTEGER NOT NULL,
    executions INTEGER NOT NULL,
    charged INTEGER NOT NULL,
    paid INTEGER NOT NULL,
    fee INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    detail BLOB NOT NULL
) STRICT;

CREATE TABLE peers (
    key BLOB PRIMARY KEY CHECK (length(key) = 32),
    account BLOB NOT NULL,
    agreed INTEGER NOT NULL,
    outvoted INTEGER NOT NULL,
    faults INTEGER NOT NULL,
    earned INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TRIGGER journal_keeps_its_lines BEFORE UPDATE ON journal
BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER journal_loses_no_line BEFORE DELETE ON journal
BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER settlements_keep_their_lines BEFORE UPDATE ON settlements
BEGIN SELECT RAISE(ABORT, 'settlements are append-only'); END;
CREATE TRIGGER settlements_lose_no_line BEFORE DELETE ON settlements
BEGIN SELECT RAISE(ABORT, 'settlements are append-only'); END;
