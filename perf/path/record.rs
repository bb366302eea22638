//! What a run found, as a line of a table and as a dated file that later runs are compared with.

use std::fmt;
use std::fs;
use std::io;

use serde_json::{Value, json};

use super::{ROUNDS, SAMPLE_NS, machine};

/// One measured case.
pub struct Row {
    pub profile: &'static str,
    pub media: &'static str,
    pub subscribers: usize,
    /// Of the publisher's packet, header included, before it is sealed.
    pub packet_bytes: usize,
    /// Of what a subscriber gets.
    pub segment_bytes: usize,
    pub engine_ns: Spread,
    pub floor_ns: Spread,
    pub ratio: Spread,
    pub segments_per_message: f64,
}

/// The middle of the samples, and how far they lie apart.
#[derive(Clone, Copy)]
pub struct Spread {
    pub median: f64,
    pub min: f64,
    pub max: f64,
}

impl Spread {
    pub fn of(mut samples: Vec<f64>) -> Spread {
        samples.sort_by(f64::total_cmp);
        Spread { median: samples[samples.len() / 2], min: samples[0], max: samples[samples.len() - 1] }
    }

    fn json(self) -> Value {
        let round = |value: f64| (value * 1000.0).round() / 1000.0;
        json!({ "median": round(self.median), "min": round(self.min), "max": round(self.max) })
    }
}

impl Row {
    pub const HEADING: &str = "profile                  media  subscribers  engine ns (min..max)    floor ns (min..max)     ratio (min..max)   packets/message";
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = |s: Spread| format!("{:.0} ({:.0}..{:.0})", s.median, s.min, s.max);
        let ratio = format!("{:.2} ({:.2}..{:.2})", self.ratio.median, self.ratio.min, self.ratio.max);
        write!(
            f,
            "{:<24} {:<6} {:>11}  {:<23} {:<23} {:<18} {:>15.2}",
            self.profile,
            self.media,
            self.subscribers,
            nanos(self.engine_ns),
            nanos(self.floor_ns),
            ratio,
            self.segments_per_message
        )
    }
}

/// Writes the record.
pub fn write(file: &str, date: &str, commit: &str, rows: &[Row]) -> io::Result<()> {
    let rows: Vec<Value> = rows
        .iter()
        .map(|row| {
            json!({
                "profile": row.profile,
                "media": row.media,
                "subscribers": row.subscribers,
                "packet_bytes": row.packet_bytes,
                "segment_bytes": row.segment_bytes,
                "engine_ns_per_delivered_packet": row.engine_ns.json(),
                "floor_ns_per_packet": row.floor_ns.json(),
                "ratio": row.ratio.json(),
                "packets_per_message": (row.segments_per_message * 100.0).round() / 100.0,
            })
        })
        .collect();
    let record = json!({
        "program": "path",
        "date": date,
        "commit": commit,
        "machine": machine::describe(),
        "method": {
            "clock": "CPU time of the thread",
            "samples": ROUNDS,
            "sample_ms": SAMPLE_NS / 1_000_000,
            "order": "engine and floor in turn; the median of each, and of the ratio of each pair",
            "engine": "handle_datagram per packet, release per turn, handle_timeout when due; null transmit",
            "floor": "one copy and one seal per packet and subscriber",
        },
        "rows": rows,
    });
    fs::write(file, format!("{record:#}\n"))
}
