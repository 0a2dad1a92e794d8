-- Kernels held to give different results for the same input; a row goes when the operator clears its kernel.
-- cause: 1 the referee contradicted itself, 2 owners dissented (how many, of how many).
CREATE TABLE suspicions (
    module BLOB PRIMARY KEY CHECK (length(module) = 32),
    since_ms INTEGER NOT NULL,
    cause INTEGER NOT NULL CHECK (cause IN (1, 2)),
    dissenting INTEGER NOT NULL,
    owners INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
