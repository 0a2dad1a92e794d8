//! `p2c2r-coordinator audit`: the store's own account of itself.

use std::fmt::Write as _;
use std::io::Write as _;

use anyhow::{Context, Result, bail};
use p2c2r_coordinator::config::Config;
use p2c2r_coordinator::store::{Audit, SqliteStore, Store};
use serde_json::json;

/// Checks the store, which may be in use, and prints its figures.
///
/// # Errors
/// If it cannot be read, or is damaged: after the figures.
pub(crate) fn run(config: &Config, as_json: bool) -> Result<()> {
    let mut store = SqliteStore::open_read_only(&config.store_path())?;
    let audit = store.audit()?;
    print(&if as_json { json_text(&audit) } else { table(&audit) })?;
    match audit.damage {
        Some(damage) => bail!("store is damaged: {damage}"),
        None => Ok(()),
    }
}

/// Writes to standard output; a reader that went away is no error.
///
/// # Errors
/// Anything else that keeps the text from being written.
pub(crate) fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error).context("standard output"),
        _ => Ok(()),
    }
}

fn table(audit: &Audit) -> String {
    let mut text = String::new();
    let mut line = |what: &str, value: String| {
        // Writing to a String does not fail.
        let _ = writeln!(text, "{what:<24}{value:>28}");
    };
    line("journal lines", audit.journal_lines.to_string());
    line("deposited", audit.deposited.to_string());
    line("platform", audit.platform.to_string());
    line("on hold", audit.held.to_string());
    line("withheld", audit.withheld.to_string());
    line("settlement batches", audit.batches.to_string());
    line("  tasks", audit.tasks.to_string());
    line("  right executions", audit.executions.to_string());
    line("  charged", audit.charged.to_string());
    line("  paid to peers", audit.paid.to_string());
    line("  platform fee", audit.fee.to_string());
    for (account, available) in &audit.available {
        line(&format!("account {}", account.short()), available.to_string());
    }
    line("ledger", if audit.damage.is_none() { "balanced".to_owned() } else { "DAMAGED".to_owned() });
    text
}

fn json_text(audit: &Audit) -> String {
    let accounts: Vec<_> = audit
        .available
        .iter()
        .map(|(account, available)| json!({ "id": account, "available_nano_usd": available.nano_usd() }))
        .collect();
    let value = json!({
        "ledger_balanced": audit.damage.is_none(),
        "damage": audit.damage.as_ref().map(ToString::to_string),
        "journal_lines": audit.journal_lines,
        "journal_chain": audit.chain,
        "deposited_nano_usd": audit.deposited.nano_usd(),
        "platform_nano_usd": audit.platform.nano_usd(),
        "held_nano_usd": audit.held.nano_usd(),
        "withheld_nano_usd": audit.withheld.nano_usd(),
        "accounts": accounts,
        "settlements": {
            "batches": audit.batches,
            "tasks": audit.tasks,
            "executions": audit.executions,
            "charged_nano_usd": audit.charged.nano_usd(),
            "paid_nano_usd": audit.paid.nano_usd(),
            "fee_nano_usd": audit.fee.nano_usd(),
        },
    });
    format!("{value:#}\n")
}
