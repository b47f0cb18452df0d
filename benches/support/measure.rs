//! Samples, and the line of the table that they make.

use std::fmt;

/// One measurement of one side.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    /// Requests or transactions a second; of bookings, those that were granted.
    pub rate: f64,
    /// Milliseconds.
    pub p50: f64,
    /// 0 where it was not measured.
    pub p95: f64,
    pub p99: f64,
    /// Requests or transactions in all.
    pub count: u64,
    /// Processor time of the load generator, in microseconds a request.
    pub client_us: f64,
    /// Bytes of an answer.
    pub bytes: f64,
    /// The most requests of one connection.
    pub rounds: u32,
    /// Answers but the refusals.
    pub granted: u64,
    /// A second, refusals included.
    pub answers: f64,
    /// What the server used meanwhile.
    pub server: Option<Usage>,
}

impl Sample {
    #[allow(clippy::cast_precision_loss)]
    pub fn server_us(&self) -> f64 {
        self.server.map_or(0.0, |usage| usage.cpu_us as f64) / self.count.max(1) as f64
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.0}/s, p50 {:.2} ms, p99 {:.2} ms", self.rate, self.p50, self.p99)?;
        if self.server.is_some() {
            write!(f, ", {:.0} us of the server's processor time each", self.server_us())?;
        }
        Ok(())
    }
}

/// What a process has used so far.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    pub cpu_us: u64,
    pub peak_kib: u64,
}

impl Usage {
    pub fn since(self, before: Self) -> Self {
        Self { cpu_us: self.cpu_us - before.cpu_us, ..self }
    }

    /// The memory that a process holds now.
    pub fn resident_kib(pid: u32) -> std::io::Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let held = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        Ok(held.and_then(|text| text.trim().split(' ').next()?.parse().ok()).unwrap_or_default())
    }

    pub fn of_process(pid: u32) -> std::io::Result<Self> {
        // Linux counts in hundredths of a second for every process, whatever the kernel's own tick
        const TICK_US: u64 = 10_000;
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // the name before the last parenthesis may hold spaces; utime and stime are fields 14 and 15
        let fields = stat.rsplit_once(") ").map_or("", |it| it.1).split(' ');
        let ticks: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak_kib = peak.and_then(|text| text.trim().split(' ').next()?.parse().ok()).unwrap_or_default();
        Ok(Self { cpu_us: ticks * TICK_US, peak_kib })
    }
}

/// A workload's line: medians of its samples.
pub struct Line {
    name: &'static str,
    pub ours: Vec<Sample>,
    pub floor: Vec<Sample>,
    pub peak_kib: u64,
    pub notes: Vec<String>,
}

impl Line {
    pub const HEADINGS: &'static str = "workload       ours/s   floor/s   ratio    p50 ms  floor p50    p99 ms  floor p99   p99 ratio   server us   peak MiB";

    pub fn new(name: &'static str) -> Self {
        Self { name, ours: Vec::new(), floor: Vec::new(), peak_kib: 0, notes: Vec::new() }
    }

    pub fn add(&mut self, ours: Sample, floor: Sample) {
        self.ours.push(ours);
        self.floor.push(floor);
    }

    /// The middle one of the ratios of each pair: what disturbs the machine disturbs both of a pair.
    pub fn ratio(&self, part: impl Fn(&Sample) -> f64) -> f64 {
        median(self.ours.iter().zip(&self.floor).map(|(ours, floor)| part(ours) / part(floor)).collect())
    }
}

/// The middle one of the values of a side.
pub fn middle(side: &[Sample], part: impl Fn(&Sample) -> f64) -> f64 {
    median(side.iter().map(part).collect())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
    if values.len() % 2 == 1 { at(middle) } else { f64::midpoint(at(middle.wrapping_sub(1)), at(middle)) }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (ours, floor) = (&self.ours, &self.floor);
        write!(
            f,
            "{:<12} {:>8.0} {:>9.0} {:>7.2} {:>9.2} {:>10.2} {:>9.2} {:>10.2} {:>11.2} {:>11.0} {:>10.1}",
            self.name,
            middle(ours, |s| s.rate),
            middle(floor, |s| s.rate),
            self.ratio(|s| s.rate),
            middle(ours, |s| s.p50),
            middle(floor, |s| s.p50),
            middle(ours, |s| s.p99),
            middle(floor, |s| s.p99),
            self.ratio(|s| s.p99),
            middle(ours, Sample::server_us),
            f64::from(u32::try_from(self.peak_kib).unwrap_or(u32::MAX)) / 1024.0,
        )
    }
}

/// The value below which so many hundredths of the sorted values lie.
pub fn percentile(sorted: &[u32], hundredths: usize) -> f64 {
    let index = (sorted.len() * hundredths / 100).min(sorted.len().saturating_sub(1));
    f64::from(sorted.get(index).copied().unwrap_or_default()) / 1000.0
}
