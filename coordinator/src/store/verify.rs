//! Whether the journal is whole and the balances are what it says. Goes on from where it stopped, so that a running
//! coordinator can afford to ask often.

use std::collections::BTreeMap;

use p2c2r_core::Millis;
use p2c2r_core::record::{LedgerAccount, Transfer};
use p2c2r_protocol::Credits;
use p2c2r_signing::Digest;
use rusqlite::Connection;

use super::name;

/// What contradicts itself in a store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// A line is gone.
    #[error("journal line {line} is missing")]
    MissingLine {
        /// Which.
        line: u64,
    },
    /// A line was changed, or one before it.
    #[error("journal line {line} does not follow the line before it: its hash chain is broken")]
    Chain {
        /// Which.
        line: u64,
    },
    /// A stored balance is not the sum of its lines.
    #[error("balance of {account} is {stored} nano-USD, the journal says {journal}")]
    Balance {
        /// Whose.
        account: String,
        /// In the table.
        stored: i128,
        /// By the journal.
        journal: i128,
    },
    /// An account other than the outside is in debt.
    #[error("balance of {account} is {balance} nano-USD, below 0")]
    Negative {
        /// Whose.
        account: String,
        /// How much.
        balance: i128,
    },
    /// Money appeared or vanished.
    #[error("balances sum to {sum} nano-USD, not to 0")]
    Unbalanced {
        /// The sum.
        sum: i128,
    },
    /// The executions of a settlement are not those it was signed off with.
    #[error("settlement {batch}: the root of its executions is {found}, stored is {stored}")]
    Root {
        /// Which.
        batch: u64,
        /// In the table.
        stored: Digest,
        /// By its executions.
        found: Digest,
    },
    /// A row that does not decode.
    #[error("table {table}: {problem}")]
    Row {
        /// Which table.
        table: &'static str,
        /// What is wrong.
        problem: String,
    },
}

/// The journal up to some line, checked.
#[derive(Debug, Default)]
pub(super) struct Verifier {
    line: u64,
    chain: Option<Digest>,
    balances: BTreeMap<String, i128>,
}

impl Verifier {
    /// Checks the lines added since the last call, and all balances. After damage it starts over.
    ///
    /// # Errors
    /// The outer error is the database's, the inner one what is wrong.
    pub(super) fn advance(&mut self, connection: &Connection) -> rusqlite::Result<Result<(), Damage>> {
        let result = self.lines(connection).and_then(|result| match result {
            Ok(()) => self.sums(connection),
            damaged => Ok(damaged),
        });
        if !matches!(result, Ok(Ok(()))) {
            *self = Self::default();
        }
        result
    }

    fn lines(&mut self, connection: &Connection) -> rusqlite::Result<Result<(), Damage>> {
        let mut statement = connection.prepare_cached(
            "SELECT line, j.id, kind, d.name, c.name, amount, at_ms, chain FROM journal j
             JOIN ledger_accounts d ON d.id = debit JOIN ledger_accounts c ON c.id = credit
             WHERE line > ?1 ORDER BY line",
        )?;
        let mut rows = statement.query([self.line.cast_signed()])?;
        while let Some(row) = rows.next()? {
            let line = row.get::<_, i64>(0)?.cast_unsigned();
            if line != self.line + 1 {
                return Ok(Err(Damage::MissingLine { line: self.line + 1 }));
            }
            let (debit, credit): (String, String) = (row.get(3)?, row.get(4)?);
            let (Some(kind), Some(from), Some(to)) =
                (name::to_kind(row.get(2)?), name::to_account(&debit), name::to_account(&credit))
            else {
                let problem = format!("line {line}: kind, {debit:?} or {credit:?} is unknown");
                return Ok(Err(Damage::Row { table: "journal", problem }));
            };
            let transfer = Transfer {
                id: row.get(1)?,
                kind,
                debit: from,
                credit: to,
                amount: Credits::from_nano_usd(row.get::<_, i64>(5)?.cast_unsigned()),
                at: Millis(row.get::<_, i64>(6)?.cast_unsigned()),
                chain: Digest::from_bytes(row.get(7)?),
            };
            if !transfer.follows(self.chain.unwrap_or(Digest::from_bytes([0; 32]))) {
                return Ok(Err(Damage::Chain { line }));
            }
            let amount = i128::from(transfer.amount.nano_usd());
            *self.balances.entry(debit).or_default() -= amount;
            *self.balances.entry(credit).or_default() += amount;
            (self.line, self.chain) = (line, Some(transfer.chain));
        }
        Ok(Ok(()))
    }

    fn sums(&self, connection: &Connection) -> rusqlite::Result<Result<(), Damage>> {
        let mut statement = connection.prepare_cached("SELECT name, balance FROM ledger_accounts")?;
        let mut rows = statement.query([])?;
        let (mut sum, mut found) = (0, 0);
        let outside = name::of_account(LedgerAccount::External);
        while let Some(row) = rows.next()? {
            let (account, stored): (String, i128) = (row.get(0)?, row.get::<_, i64>(1)?.into());
            let journal = self.balances.get(&account).copied().unwrap_or_default();
            if stored != journal {
                return Ok(Err(Damage::Balance { account, stored, journal }));
            }
            if stored < 0 && account != outside {
                return Ok(Err(Damage::Negative { account, balance: stored }));
            }
            sum += stored;
            found += 1;
        }
        if sum != 0 {
            return Ok(Err(Damage::Unbalanced { sum }));
        }
        if found < self.balances.len() {
            let problem = format!("{found} accounts, the journal names {}", self.balances.len());
            return Ok(Err(Damage::Row { table: "ledger_accounts", problem }));
        }
        Ok(Ok(()))
    }
}
