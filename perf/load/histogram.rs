//! Latencies in buckets that are 1/64 wide of what they hold, so that adding one is an index and a percentile is off by
//! less than two per cent.

/// Counts of values, in nanoseconds.
#[derive(Clone)]
pub struct Histogram {
    buckets: Vec<u32>,
    count: u64,
}

/// Bits of a value that a bucket distinguishes.
const PRECISION: u32 = 6;
const ROW: usize = 1 << PRECISION;

impl Histogram {
    /// An empty one.
    pub fn new() -> Histogram {
        Histogram { buckets: vec![0; ROW * 60], count: 0 }
    }

    /// Counts a value.
    pub fn add(&mut self, value: u64) {
        self.buckets[index(value)] += 1;
        self.count += 1;
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The value below or at which this part of all lies, in nanoseconds; 0 when there is none.
    pub fn quantile(&self, part: f64) -> u64 {
        let wanted = (self.count as f64 * part).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (index, count) in self.buckets.iter().enumerate() {
            seen += u64::from(*count);
            if seen >= wanted {
                return floor_of(index);
            }
        }
        0
    }
}

/// Values below 64 have a bucket each; above, each power of two has 64.
fn index(value: u64) -> usize {
    let shift = (64 - PRECISION - 1).saturating_sub(value.leading_zeros());
    let within = usize::try_from(value >> shift).expect("seven bits");
    within + shift as usize * ROW
}

fn floor_of(index: usize) -> u64 {
    let shift = (index / ROW).saturating_sub(1);
    ((index - shift * ROW) as u64) << shift
}
