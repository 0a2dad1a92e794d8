-- How far peers are trusted, per kernel: weights of right votes and of lies (256 a vote, fading), and the compared votes left of the
-- probation. A row goes when it was not compared for 90 days and shows no lie. A store from before has none: everybody is a newcomer.
CREATE TABLE trust (
    peer BLOB NOT NULL REFERENCES peers (key),
    module BLOB NOT NULL CHECK (length(module) = 32),
    agreed INTEGER NOT NULL,
    lied INTEGER NOT NULL,
    probation INTEGER NOT NULL,
    compared_ms INTEGER NOT NULL,
    PRIMARY KEY (peer, module)
) STRICT, WITHOUT ROWID;
