//! What a run found, as lines of a table and as a dated file that later runs are compared with.

use crate::machine;
use serde_json::{Map, Value, json};
use std::fs;
use std::io;

/// One line: what was measured on whom, its figures, and what else is to be said.
#[derive(Default)]
pub struct Row {
    pub labels: Vec<(&'static str, String)>,
    pub figures: Vec<Figure>,
    pub note: String,
}

/// A figure of several samples.
pub struct Figure {
    pub name: &'static str,
    pub median: f64,
    pub min: f64,
    pub max: f64,
    /// Decimals shown.
    pub decimals: usize,
    /// Whether the table shows how far the samples lie apart.
    pub spread: bool,
}

impl Row {
    /// A line with these labels.
    pub fn new(labels: &[(&'static str, &str)]) -> Row {
        Row { labels: labels.iter().map(|(name, text)| (*name, (*text).to_owned())).collect(), ..Row::default() }
    }

    /// A line that says why there are no figures.
    pub fn absent(labels: &[(&'static str, &str)], why: &str) -> Row {
        Row { note: why.to_owned(), ..Row::new(labels) }
    }

    /// Adds the median of samples; nothing without one.
    pub fn figure(
        &mut self,
        name: &'static str,
        decimals: usize,
        spread: bool,
        samples: impl IntoIterator<Item = f64>,
    ) {
        let mut samples: Vec<f64> = samples.into_iter().collect();
        samples.sort_by(f64::total_cmp);
        if let (Some(&min), Some(&max)) = (samples.first(), samples.last()) {
            self.figures.push(Figure { name, median: samples[samples.len() / 2], min, max, decimals, spread });
        }
    }

    /// The median of a figure.
    pub fn median(&self, name: &str) -> Option<f64> {
        self.figures.iter().find(|figure| figure.name == name).map(|figure| figure.median)
    }

    fn cells(&self) -> Vec<(String, String)> {
        let labels = self.labels.iter().map(|(name, text)| ((*name).to_owned(), text.clone()));
        let figures = self.figures.iter().map(|figure| {
            let Figure { median, min, max, decimals, .. } = *figure;
            let text = match figure.spread {
                true => format!("{median:.decimals$} ({min:.decimals$}..{max:.decimals$})"),
                false => format!("{median:.decimals$}"),
            };
            (figure.name.to_owned(), text)
        });
        labels.chain(figures).collect()
    }

    fn json(&self) -> Value {
        let round = |value: f64| (value * 1000.0).round() / 1000.0;
        let mut object = Map::new();
        object.extend(self.labels.iter().map(|(name, text)| ((*name).to_owned(), text.as_str().into())));
        for Figure { name, median, min, max, .. } in &self.figures {
            object.insert(
                (*name).to_owned(),
                json!({ "median": round(*median), "min": round(*min), "max": round(*max) }),
            );
        }
        if !self.note.is_empty() {
            object.insert("note".to_owned(), self.note.as_str().into());
        }
        object.into()
    }
}

/// Prints the lines under their columns; a column is as wide as its widest cell.
pub fn print(rows: &[Row]) {
    let mut columns: Vec<(String, usize)> = Vec::new();
    for row in rows {
        // A column that only some rows have stands behind the one that it follows there.
        let mut behind = 0;
        for (name, text) in row.cells() {
            let at = columns.iter().position(|(known, _)| *known == name).unwrap_or_else(|| {
                columns.insert(behind, (name.clone(), name.len()));
                behind
            });
            columns[at].1 = text.len().max(columns[at].1);
            behind = at + 1;
        }
    }
    let line = |cell: &dyn Fn(&str) -> String| {
        let cells = columns.iter().map(|(name, width)| format!("{:<width$}", cell(name)));
        cells.collect::<Vec<_>>().join("  ")
    };
    println!("{}", line(&str::to_owned).trim_end());
    for row in rows {
        let cells = row.cells();
        let cell = |name: &str| cells.iter().find(|(known, _)| known == name).map_or_else(String::new, |c| c.1.clone());
        println!("{}  {}", line(&cell).trim_end(), row.note);
    }
}

/// What is known of a run beside its figures.
pub struct About<'a> {
    pub question: &'a str,
    pub date: &'a str,
    pub commit: &'a str,
    pub method: Value,
}

/// Writes the record.
pub fn write(file: &str, about: &About<'_>, rows: &[Row]) -> io::Result<()> {
    let record = json!({
        "program": about.question,
        "date": about.date,
        "commit": about.commit,
        "machine": machine::describe(),
        "method": about.method,
        "rows": rows.iter().map(Row::json).collect::<Vec<_>>(),
    });
    fs::write(file, format!("{record:#}\n"))
}
