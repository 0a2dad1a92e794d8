//! One line of the results.

use comfy_table::Table;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use serde::Serialize;

/// A measured value next to its baseline from the same run.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    /// `area/what`.
    name: String,
    /// Median over the rounds.
    value: f64,
    /// Of `value` and `baseline_value`.
    unit: &'static str,
    /// What it is compared with.
    baseline: Option<&'static str>,
    /// Its median over the same rounds.
    baseline_value: Option<f64>,
    /// `value / baseline_value`.
    ratio: Option<f64>,
    /// What we want; empty for rows that only explain others.
    aim: &'static str,
}

impl Row {
    pub(crate) fn new(
        name: &str,
        value: f64,
        unit: &'static str,
        baseline: Option<(&'static str, f64)>,
        aim: &'static str,
    ) -> Self {
        let baseline_value = baseline.map(|(_, value)| value);
        let ratio = baseline_value.filter(|theirs| *theirs > 0.0).map(|theirs| value / theirs);
        Self {
            name: name.to_owned(),
            value,
            unit,
            baseline: baseline.map(|(name, _)| name),
            baseline_value,
            ratio,
            aim,
        }
    }
}

/// The middle of `values`; `None` without values.
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// Prints the rows as a table.
#[expect(clippy::print_stdout, reason = "a command-line program talks to its user")]
pub(crate) fn print(rows: &[Row]) {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(["row", "value", "unit", "baseline", "value", "ratio", "aim"]);
    let number =
        |value: Option<f64>, digits: usize| value.map_or_else(String::new, |value| format!("{value:.digits$}"));
    for row in rows {
        table.add_row([
            row.name.clone(),
            number(Some(row.value), 1),
            row.unit.to_owned(),
            row.baseline.unwrap_or_default().to_owned(),
            number(row.baseline_value, 1),
            number(row.ratio, 2),
            row.aim.to_owned(),
        ]);
    }
    println!("{table}");
}
